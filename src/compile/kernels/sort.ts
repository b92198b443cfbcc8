import type { NodeOf } from '../../ir/graph/types.ts';
import type { KernelBuilder } from '../../ir/kernel/builder.ts';
import { add, constant, type Index, mul, sub } from '../../ir/kernel/index-expr.ts';
import type { Buffer, Mask, Value } from '../../ir/kernel/types.ts';
import { maxDim } from '../../ir/shape.ts';
import type { ExpressionLowering } from '../lower/expression.ts';
import { loopOver } from '../lower/map-kernel.ts';
import { linearIndex } from '../lower/movement.ts';

/** One element on its way: what it is ordered by, and its place in the source. */
interface Entry {
  readonly key: Value;
  readonly place: Value;
}

/** Where the entries of a row lie between two passes. */
interface Run {
  readonly keys: Buffer;
  readonly places: Buffer;
}

type Sink = (at: Index, entry: Entry) => void;

/** Entries that are sorted in registers. */
const RUN = 4;

/** The text of the checks, which never fail: a merge holds its cursors inside the runs. */
const CURSOR = 'sort: merge';

/**
 * Sorts every row by bottom-up merging: runs of four by exchanging neighbours in registers,
 * then passes that merge pairs of runs from one local buffer into the other, the last of them into
 * the result. Every step keeps equal elements in their order.
 */
export function buildSort(
  b: KernelBuilder,
  lowering: ExpressionLowering,
  node: NodeOf<'sort'>,
  out: Buffer,
): void {
  const [x] = node.src;
  const { axis } = node.arg;
  const size = maxDim(x.shape[axis]);
  const widths: number[] = [];
  for (let width = RUN; width < size; width *= 2) widths.push(width);
  const keyType = x.dtype === 'f64' ? 'f64' : 'i32';
  const runs = Array.from({ length: Math.min(2, widths.length) }, (_, i): Run => {
    const keys = b.buffer(`keys${i}`, keyType, size, 'local');
    return { keys, places: b.buffer(`places${i}`, 'i32', size, 'local') };
  });
  const others = x.shape.map((dim, i) => (i === axis ? 1 : dim));
  loopOver(b, others, -1, 'thread', (row) => {
    const along = (i: Index) => row.map((r, a) => (a === axis ? i : r));
    const toResult: Sink = (i, { place }) => b.store(out, linearIndex(along(i), x.shape), place);
    const toRun = ({ keys, places }: Run): Sink => {
      return (i, { key, place }) => {
        b.store(keys, i, key);
        b.store(places, i, place);
      };
    };
    const keyAt = (i: Index, mask: Mask) => sortKey(b, lowering.evaluate(x, along(i), mask));
    sortVectors(b, size, keyAt, widths.length === 0 ? toResult : toRun(runs[0]));
    widths.forEach((width, pass) => {
      const last = pass === widths.length - 1;
      mergePass(b, size, width, runs[pass % 2], last ? toResult : toRun(runs[(pass + 1) % 2]));
    });
  });
}

/** A number whose order is that of the elements: NaN above all, -0 and 0 the same. */
function sortKey(b: KernelBuilder, x: Value): Value {
  switch (x.dtype) {
    case 'f64':
    case 'i32':
      return x;
    case 'bool':
      return b.convert(x, 'i32');
    case 'u32':
      return b.bitcast(b.binary('xor', x, b.const('u32', 2 ** 31)), 'i32');
    case 'f32': {
      const zero = b.const('f32', 0);
      const bits = b.bitcast(b.select(b.compare('eq', x, zero), zero, x), 'i32');
      const largest = b.const('i32', 2 ** 31 - 1);
      // Negative floats grow downwards with their bits.
      const mirrored = b.binary('and', b.binary('shr', bits, b.const('i32', 31)), largest);
      return b.select(b.compare('ne', x, x), largest, b.binary('xor', bits, mirrored));
    }
    default:
      return x.dtype satisfies never;
  }
}

/** Whether key x stands before key y. */
function before(b: KernelBuilder, x: Value, y: Value): Value {
  const less = b.compare('lt', x, y);
  if (x.dtype !== 'f64') return less;
  const onlyLastIsNaN = b.binary('and', b.compare('eq', x, x), b.compare('ne', y, y));
  return b.binary('or', less, onlyLastIsNaN);
}

/** Sorts runs of a row, read as vectors, in registers. */
function sortVectors(
  b: KernelBuilder,
  size: number,
  keyAt: (i: Index, mask: Mask) => Value,
  put: Sink,
): void {
  const putSorted = (start: Index, keys: readonly Value[]) => {
    for (let i = 0; i < keys.length; i += RUN) putRun(add(start, i), keys.slice(i, i + RUN));
  };
  const putRun = (from: Index, keys: readonly Value[]) => {
    const entries = keys.map((key, i) => ({ key, place: b.index(add(from, i)) }));
    exchangeNeighbours(b, entries).forEach((entry, i) => {
      put(add(from, i), entry);
    });
  };
  const whole = Math.floor(size / b.lanes);
  b.loop(whole, 'serial', [], (i) => {
    const from = mul(i, b.lanes);
    const keys = keyAt(add(from, b.laneIndex), []);
    putSorted(
      from,
      b.eachLane((lane) => b.lane(keys, lane)),
    );
  });
  const end = constant(whole * b.lanes);
  const count = size % b.lanes;
  const rest = () => {
    if (!b.target.laneMasks) return Array.from({ length: count }, (_, i) => keyAt(add(end, i), []));
    const lanes = add(end, b.laneIndex);
    const keys = keyAt(lanes, [sub(constant(size - 1), lanes)]);
    return Array.from({ length: count }, (_, i) => b.lane(keys, i));
  };
  if (count > 0) putSorted(end, rest());
}

/** As many rounds as elements, each exchanging every second pair of neighbours out of order. */
function exchangeNeighbours(b: KernelBuilder, entries: readonly Entry[]): Entry[] {
  const sorted = [...entries];
  for (let round = 0; round < sorted.length; round++) {
    for (let i = round % 2; i + 1 < sorted.length; i += 2) {
      const [p, q] = [sorted[i], sorted[i + 1]];
      const wrong = before(b, q.key, p.key);
      sorted[i] = choose(b, wrong, q, p);
      sorted[i + 1] = choose(b, wrong, p, q);
    }
  }
  return sorted;
}

function choose(b: KernelBuilder, condition: Value, p: Entry, q: Entry): Entry {
  return {
    key: b.select(condition, p.key, q.key),
    place: b.select(condition, p.place, q.place),
  };
}

/** Merges runs of `width` in pairs; a last run without a partner is copied. */
function mergePass(b: KernelBuilder, size: number, width: number, from: Run, put: Sink): void {
  const pairs = Math.floor(size / (2 * width));
  const rest = size - pairs * 2 * width;
  const end = constant(size - rest);
  b.loop(pairs, 'serial', [], (pair) => {
    merge(b, from, mul(pair, 2 * width), width, width, put);
  });
  if (rest > width) merge(b, from, end, width, rest - width, put);
  else {
    b.loop(rest, 'serial', [], (i) => {
      const at = add(end, i);
      put(at, { key: b.load(from.keys, at), place: b.load(from.places, at) });
    });
  }
}

/** Merges the runs of `left` and `right` elements that begin at `start`: equals from the left first. */
function merge(
  b: KernelBuilder,
  { keys, places }: Run,
  start: Index,
  left: number,
  right: number,
  put: Sink,
): void {
  const zero = b.const('i32', 0);
  const one = b.const('i32', 1);
  const head = (cursor: Value, first: Index, count: number) => {
    const inside = b.binary('min', cursor, b.const('i32', count - 1));
    const at = add(first, b.checked(inside, count, CURSOR));
    return { key: b.load(keys, at), place: b.load(places, at) };
  };
  b.loop(left + right, 'serial', [zero, zero], (i, [p, q]) => {
    const l = head(p, start, left);
    const r = head(q, add(start, left), right);
    const leftIsOver = b.compare('le', b.const('i32', left), p);
    const rightIsLeft = b.compare('lt', q, b.const('i32', right));
    const smaller = b.binary('and', rightIsLeft, before(b, r.key, l.key));
    const takeRight = b.binary('or', leftIsOver, smaller);
    put(add(start, i), choose(b, takeRight, r, l));
    const step = b.convert(takeRight, 'i32');
    return [b.binary('add', p, b.binary('sub', one, step)), b.binary('add', q, step)];
  });
}
