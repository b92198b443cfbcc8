import type { DType } from '../../src/ir/dtype.ts';
import * as g from '../../src/ir/graph/build.ts';
import type { Node } from '../../src/ir/graph/types.ts';
import { sizeOf } from '../../src/ir/shape.ts';

/**
 * Random graphs for comparing devices. Beside each float node stands one that bounds the
 * magnitudes it was summed from, so that the allowed error can be told: c * eps * sum |a||b|.
 */
export interface RandomGraph {
  readonly inputs: readonly g.BufferNode[];
  readonly outputs: readonly Node[];
  /** For each output its bound, or undefined when it must be exact. */
  readonly bounds: readonly (Node | undefined)[];
  readonly description: string;
}

interface Entry {
  readonly node: Node;
  readonly bound: Node;
  /** Derived from inputs by moves alone: comparisons and rounding of it are the same everywhere. */
  readonly exact: boolean;
}

/** How a graph is built: plain numbers, so that a browser can build what Node made up. */
export interface Recipe {
  readonly shapes: readonly (readonly number[])[];
  readonly steps: readonly {
    readonly op: number;
    readonly a: number;
    readonly b: number;
    readonly c: number;
  }[];
}

const abs = (x: Node) => g.unary('abs', x);

/** Repeats or sums `y` to the shape of `x`, through moves that always fit. */
function fitted(y: Entry, x: Entry): Entry {
  const shape = x.node.shape as number[];
  const each = (node: Node): Node => {
    const total = sizeOf(shape);
    const flat = g.reshape(node, [sizeOf(node.shape)]);
    const size = sizeOf(node.shape);
    const cut = size >= total ? g.shrink(flat, [[0, total]]) : g.pad(flat, [[total - size, 0]], 0);
    return g.reshape(cut, shape);
  };
  return { node: each(y.node), bound: each(y.bound), exact: y.exact };
}

type Step = (x: Entry, y: Entry, c: number) => Entry;

const both = (x: Entry, f: (node: Node) => Node): Entry => ({
  node: f(x.node),
  bound: f(x.bound),
  exact: x.exact,
});

function pickAxis(node: Node, c: number): number {
  return c % node.shape.length;
}

const STEPS: readonly (readonly [string, Step])[] = [
  ['add', (x, y) => arith('add', x, fitted(y, x))],
  ['sub', (x, y) => arith('sub', x, fitted(y, x))],
  ['mul', (x, y) => scaled('mul', x, fitted(y, x))],
  ['max', (x, y) => arith('max', x, fitted(y, x))],
  ['min', (x, y) => arith('min', x, fitted(y, x))],
  ['neg', (x) => ({ ...both(x, (n) => n), node: g.unary('neg', x.node) })],
  ['tanh', (x) => smooth('tanh', x)],
  ['sin', (x) => smooth('sin', x)],
  ['abs', (x) => ({ node: abs(x.node), bound: x.bound, exact: x.exact })],
  ['floor', (x) => (x.exact ? floored(x) : x)],
  ['reshape', (x) => both(x, (n) => g.reshape(n, [sizeOf(n.shape)]))],
  ['unflatten', (x, _y, c) => both(x, (n) => unflatten(n, c))],
  ['permute', (x, _y, c) => both(x, (n) => g.permute(n, rotated(n.shape.length, c)))],
  ['flip', (x, _y, c) => both(x, (n) => g.flip(n, [pickAxis(n, c)]))],
  [
    'pad',
    (x, _y, c) =>
      both(x, (n) =>
        g.pad(
          n,
          n.shape.map((_, i) => (i === pickAxis(n, c) ? [c % 3, 1] : [0, 0])),
          0,
        ),
      ),
  ],
  [
    'shrink',
    (x, _y, c) =>
      both(x, (n) =>
        g.shrink(
          n,
          n.shape.map((d, i) => cut(d as number, i === pickAxis(n, c) ? c : 0)),
        ),
      ),
  ],
  ['window', (x, _y, c) => both(x, (n) => windowed(n, c))],
  ['spread', (x, _y, c) => both(x, (n) => spreadOut(n, c))],
  ['expand', (x, _y, c) => both(x, (n) => (n.shape.length > 3 ? n : expandNew(n, c)))],
  ['sum', (x, _y, c) => inexact(both(x, (n) => g.reduce('sum', n, [pickAxis(n, c)])))],
  ['max reduce', (x, _y, c) => extreme(x, 'max', c)],
  ['min reduce', (x, _y, c) => extreme(x, 'min', c)],
  [
    'sum all',
    (x) =>
      inexact(
        both(x, (n) =>
          g.reduce(
            'sum',
            n,
            n.shape.map((_, i) => i),
          ),
        ),
      ),
  ],
  ['where', (x, y, c) => chosen(x, fitted(y, x), c)],
  ['gather', (x, _y, c) => gathered(x, c)],
  ['scatter', (x, _y, c) => scattered(x, c)],
  ['scan sum', (x, _y, c) => inexact(scanned(x, 'sum', c))],
  ['scan max', (x, _y, c) => scanned(x, 'max', c)],
  ['scan min', (x, _y, c) => scanned(x, 'min', c)],
  ['sort', (x, _y, c) => (x.exact ? sorted(x, c) : x)],
  ['dot', (x, y) => product(x, y)],
  ['softmax', (x, _y, c) => softmax(x, c)],
];

/** The magnitude may grow by one, and is not itself rounded down. */
function floored(x: Entry): Entry {
  const bound = g.binary('add', x.bound, g.constLike(x.bound, 1));
  return { node: g.unary('floor', x.node), bound, exact: true };
}

function inexact(x: Entry): Entry {
  return { ...x, exact: false };
}

function arith(fn: 'add' | 'sub' | 'max' | 'min', x: Entry, y: Entry): Entry {
  const node = g.binary(fn, x.node, y.node);
  const extremeOf = fn === 'max' || fn === 'min';
  return { node, bound: g.binary('add', x.bound, y.bound), exact: extremeOf && x.exact && y.exact };
}

function scaled(fn: 'mul', x: Entry, y: Entry): Entry {
  return {
    node: g.binary(fn, x.node, y.node),
    bound: g.binary(fn, x.bound, y.bound),
    exact: false,
  };
}

/** A function of slope at most 1: errors pass through, its own result is at most 1. */
function smooth(fn: 'tanh' | 'sin', x: Entry): Entry {
  const limited = g.binary('min', x.bound, g.constLike(x.bound, 1e4));
  return {
    node: g.unary(
      fn,
      g.binary('max', g.binary('min', x.node, g.constLike(x.node, 100)), g.constLike(x.node, -100)),
    ),
    bound: g.binary('add', limited, g.constLike(x.bound, 1)),
    exact: false,
  };
}

function extreme(x: Entry, fn: 'max' | 'min', c: number): Entry {
  const axes = [pickAxis(x.node, c)];
  return {
    node: g.reduce(fn, x.node, axes),
    bound: g.reduce('max', x.bound, axes),
    exact: x.exact,
  };
}

function unflatten(node: Node, c: number): Node {
  const size = sizeOf(node.shape);
  const divisors = Array.from({ length: size }, (_, i) => i + 1).filter((d) => size % d === 0);
  const first = divisors[c % divisors.length];
  return g.reshape(node, [first, size / first]);
}

function rotated(rank: number, c: number): number[] {
  return Array.from({ length: rank }, (_, i) => (i + c) % rank);
}

function cut(size: number, c: number): readonly [number, number] {
  const start = c % size;
  return [start, Math.max(1, size - start - (c % 2))];
}

function expandNew(node: Node, c: number): Node {
  const times = (c % 4) + 1;
  const shape = [...node.shape];
  const at = c % (shape.length + 1);
  const single = [...shape.slice(0, at), 1, ...shape.slice(at)];
  const grown = [...shape.slice(0, at), times, ...shape.slice(at)];
  return g.expand(g.reshape(node, single), grown);
}

/** Windows of an axis as a new last axis, or of one that has a last axis already. */
function windowed(node: Node, c: number): Node {
  const rank = node.shape.length;
  const size = (c % 3) + 1;
  const fresh = rank < 4 && (rank === 1 || c % 2 === 0);
  const axis = c % (fresh ? rank : rank - 1);
  const single = fresh ? g.reshape(node, [...node.shape, 1]) : node;
  const wide = fresh ? g.expand(single, [...node.shape, size]) : node;
  const [stride, dilation] = [((c >> 1) % 3) + 1, ((c >> 3) % 2) + 1];
  const reach = ((wide.shape[wide.shape.length - 1] as number) - 1) * dilation;
  const room = (wide.shape[axis] as number) - 1 - reach;
  if (room < 0) return node;
  return g.window(wide, { axis, size: Math.floor(room / stride) + 1, stride, dilation });
}

function spreadOut(node: Node, c: number): Node {
  const rank = node.shape.length;
  const wide = rank === 1 ? g.reshape(node, [...node.shape, 1]) : node;
  const axis = c % Math.max(1, rank - 1);
  const [stride, dilation] = [((c >> 1) % 3) + 1, ((c >> 3) % 2) + 1];
  const reach = ((wide.shape[wide.shape.length - 1] as number) - 1) * dilation;
  const size = ((wide.shape[axis] as number) - 1) * stride + reach + 1 + ((c >> 4) % 3);
  return sizeOf(wide.shape) * size > 20_000
    ? node
    : g.spread(wide, { axis, size, stride, dilation });
}

function chosen(x: Entry, y: Entry, c: number): Entry {
  const size = sizeOf(x.node.shape);
  const places = g.reshape(g.iota(size), x.node.shape);
  const condition = g.compare('lt', places, g.constLike(places, c % (size + 1)));
  return {
    node: g.where(condition, x.node, y.node),
    bound: g.where(condition, x.bound, y.bound),
    exact: x.exact && y.exact,
  };
}

function indexFor(x: Node, axis: number, c: number): Node {
  const size = x.shape[axis] as number;
  const shape = x.shape.map((d, i) => (i === axis ? (c % 5) + 1 : d));
  const places = g.reshape(g.iota(sizeOf(shape)), shape);
  const mixed = g.binary('mul', places, g.constLike(places, (c % 7) + 1));
  return g.binary('rem', mixed, g.constLike(mixed, size));
}

function gathered(x: Entry, c: number): Entry {
  const axis = pickAxis(x.node, c);
  const index = indexFor(x.node, axis, c);
  return both(x, (n) => g.gather(n, index, axis));
}

function scattered(x: Entry, c: number): Entry {
  const axis = pickAxis(x.node, c);
  const index = indexFor(x.node, axis, c);
  const updates = g.full(0.5, index.shape, x.node.dtype);
  return inexact(both(x, (n) => g.scatter(n, index, updates, axis, 'add')));
}

function scanned(x: Entry, fn: 'sum' | 'max' | 'min', c: number): Entry {
  const axis = pickAxis(x.node, c);
  return {
    node: g.scan(fn, x.node, axis),
    bound: g.scan(fn === 'sum' ? 'sum' : 'max', x.bound, axis),
    exact: x.exact,
  };
}

/** Only values that are the same on every device have one order. */
function sorted(x: Entry, c: number): Entry {
  const axis = pickAxis(x.node, c);
  const order = g.sort(x.node, axis);
  return both(x, (n) => g.gather(n, order, axis));
}

/** Rows of x by rows of y over a common depth made by fitting. */
function product(x: Entry, y: Entry): Entry {
  const rows = x.node.shape[0] as number;
  const depth = sizeOf(x.node.shape) / rows;
  const matrix = (e: Entry, shape: number[]): Entry => {
    const zeros = g.full(0, shape, e.node.dtype);
    return fitted(e, { node: zeros, bound: zeros, exact: true });
  };
  const left = matrix(x, [rows, depth]);
  const right = matrix(y, [depth, (y.node.shape[0] as number) + 3]);
  return {
    node: g.dot(left.node, right.node, 0, 1),
    bound: g.dot(left.bound, right.bound, 0, 1),
    exact: false,
  };
}

function softmax(x: Entry, c: number): Entry {
  const axis = pickAxis(x.node, c);
  const top = g.expand(g.reduce('max', x.node, [axis]), x.node.shape);
  const e = g.unary('exp', g.binary('sub', x.node, top));
  const sum = g.expand(g.reduce('sum', e, [axis]), x.node.shape);
  const limited = g.binary('min', x.bound, g.constLike(x.bound, 1e4));
  const most = g.expand(g.reduce('max', limited, [axis]), x.node.shape);
  return {
    node: g.binary('div', e, sum),
    bound: g.binary('add', most, g.constLike(x.bound, 1)),
    exact: false,
  };
}

/** Through another type and back: only where bounds do not matter. */
const CASTS: readonly (readonly [string, Step])[] = (
  ['f32', 'f16', 'bf16', 'f8e4m3', 'f8e5m2', 'i32'] as const
).map((to) => [`by ${to}`, (x) => both(x, (n) => g.cast(g.cast(n, to), n.dtype))]);

/** @param dtype of all float nodes; bounds hold for f32 only */
export function buildGraph(recipe: Recipe, dtype: DType = 'f32'): RandomGraph {
  const inputs = recipe.shapes.map((shape, i) => g.bufferNode(dtype, shape, `input${i}`));
  const steps = dtype === 'f32' ? STEPS : [...STEPS, ...CASTS];
  const entries: Entry[] = inputs.map((node) => ({ node, bound: abs(node), exact: true }));
  const words: string[] = [];
  for (const { op, a, b, c } of recipe.steps) {
    const [name, step] = steps[op % steps.length];
    const x = entries[a % entries.length];
    const y = entries[b % entries.length];
    if (sizeOf(x.node.shape) > 3000 || sizeOf(y.node.shape) > 3000) continue;
    if (x.node.shape.length === 0) continue;
    words.push(name);
    entries.push(step(x, y, c));
  }
  const last = entries.slice(Math.max(inputs.length, entries.length - 3));
  const chosenOutputs = last.length > 0 ? last : [entries[0]];
  return {
    inputs,
    outputs: chosenOutputs.map((e) => e.node),
    bounds: chosenOutputs.map((e) => (e.exact ? undefined : e.bound)),
    description: words.join(', '),
  };
}
