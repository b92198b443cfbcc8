import type { DType } from '../dtype.ts';
import type { QuantScheme } from '../quantization.ts';
import { type Dim, dimsEqual, isVar, type Shape, shapesEqual, type Var } from '../shape.ts';
import { OPS } from './ops/table.ts';
import type {
  AxisSteps,
  BinaryFn,
  Build,
  CallArg,
  CompareFn,
  MarkRule,
  Node,
  OpArgs,
  OpName,
  OpRule,
  Pads,
  Ranges,
  ReduceFn,
  ScanFn,
  UnaryFn,
} from './types.ts';

/**
 * Node constructors. They check operands by the op table's shape rule and leave out what changes
 * nothing (a reshape to the same shape). Operands must have equal shapes and types here:
 * broadcasting and promotion belong to the Tensor above.
 */
let nextId = 1;

export function makeNode<K extends OpName>(op: K, src: readonly Node[], arg: OpArgs[K]): Node {
  const rule: OpRule<K> = OPS[op];
  const { dtype, shape } = rule.infer(src, arg);
  return makeTyped(op, dtype, shape, src, arg);
}

/** A node whose type is known: for leaves, and for copies of nodes already checked. */
export function makeTyped<K extends OpName>(
  op: K,
  dtype: DType,
  shape: Shape,
  src: readonly Node[],
  arg: OpArgs[K],
): Node {
  // The union of NodeOf<K> over all K cannot be built generically without this one assertion.
  return { id: nextId++, op, dtype, shape, src, arg } as NodeOfAny as Node;
}
type NodeOfAny = { [F in keyof Node]: Node[F] };

let nextBuffer = 1;

export type BufferNode = Node & { readonly op: 'buffer' };

export function bufferNode(dtype: DType, shape: Shape, name: string): BufferNode {
  return {
    id: nextId++,
    op: 'buffer',
    dtype,
    shape,
    src: [],
    arg: { id: nextBuffer++, name, shape },
  };
}

export function scalar(value: number, dtype: DType): Node {
  return makeTyped('const', dtype, [], [], { value });
}

/** A constant array: a scalar expanded, so it costs no memory. */
export function full(value: number, shape: Shape, dtype: DType): Node {
  const single = reshape(
    scalar(value, dtype),
    shape.map(() => 1),
  );
  return expand(single, shape);
}

export function constLike(node: Node, value: number): Node {
  return full(value, node.shape, node.dtype);
}

export function iota(length: Dim): Node {
  return makeNode('iota', [], { length });
}

/** The run-time value of a symbolic size, a scalar i32. */
export function varValue(variable: Var): Node {
  return makeNode('var', [], { variable });
}

export function cast(x: Node, to: DType): Node {
  return x.dtype === to ? x : makeNode('cast', [x], { to });
}

export function bitcast(x: Node, to: DType): Node {
  return x.dtype === to ? x : makeNode('bitcast', [x], { to });
}

export function unary(fn: UnaryFn, x: Node): Node {
  return makeNode('unary', [x], { fn });
}

export function binary(fn: BinaryFn, x: Node, y: Node): Node {
  return makeNode('binary', [x, y], { fn });
}

export function compare(fn: CompareFn, x: Node, y: Node): Node {
  return makeNode('compare', [x, y], { fn });
}

export function where(condition: Node, x: Node, y: Node): Node {
  return makeNode('where', [condition, x, y], null);
}

/** Axes of size 1 need no reduction. */
export function reduce(fn: ReduceFn, x: Node, axes: readonly number[]): Node {
  const real = axes.filter((axis) => x.shape[axis] !== 1);
  return real.length === 0 ? x : makeNode('reduce', [x], { fn, axes: real });
}

/** Along an axis of size 1 there is nothing to join. */
export function scan(fn: ScanFn, x: Node, axis: number): Node {
  return x.shape[axis] === 1 ? x : makeNode('scan', [x], { fn, axis });
}

export function sort(x: Node, axis: number): Node {
  return makeNode('sort', [x], { axis });
}

/**
 * Movements of movements are joined by the compiler, not here: the node between may be the one by
 * which a gradient is asked for, or at which it stops.
 */
export function reshape(x: Node, shape: Shape): Node {
  return shapesEqual(x.shape, shape) ? x : makeNode('reshape', [x], { shape });
}

export function permute(x: Node, order: readonly number[]): Node {
  const same = order.length === x.shape.length && order.every((axis, i) => axis === i);
  return same ? x : makeNode('permute', [x], { order });
}

export function expand(x: Node, shape: Shape): Node {
  return shapesEqual(x.shape, shape) ? x : makeNode('expand', [x], { shape });
}

export function pad(x: Node, pads: Pads, value: number): Node {
  return pads.every(([a, b]) => a === 0 && b === 0) ? x : makeNode('pad', [x], { pads, value });
}

export function shrink(x: Node, ranges: Ranges): Node {
  const whole = ranges.every(([start, length], axis) => {
    const dim = x.shape[axis];
    return start === 0 && dim !== undefined && dimsEqual(length, dim);
  });
  return whole && ranges.length === x.shape.length ? x : makeNode('shrink', [x], { ranges });
}

export function flip(x: Node, axes: readonly number[]): Node {
  return axes.length === 0 ? x : makeNode('flip', [x], { axes });
}

export function window(x: Node, steps: AxisSteps): Node {
  return makeNode('window', [x], steps);
}

export function spread(x: Node, steps: AxisSteps): Node {
  return makeNode('spread', [x], steps);
}

export function gather(x: Node, index: Node, axis: number): Node {
  return makeNode('gather', [x, index], { axis });
}

export function scatter(
  x: Node,
  index: Node,
  updates: Node,
  axis: number,
  mode: 'add' | 'set',
): Node {
  return makeNode('scatter', [x, index, updates], { axis, mode });
}

export function dot(a: Node, b: Node, batch: number, contract: number): Node {
  return makeNode('dot', [a, b], { batch, contract });
}

/** Codes of `x` in a scheme, by scales (and zero points) of one entry for each block. */
export function quantize(
  x: Node,
  scales: Node,
  zeros: Node | undefined,
  scheme: QuantScheme,
): Node {
  return inScheme('quantize', [x, scales], zeros, scheme);
}

export function dequantize(
  packed: Node,
  scales: Node,
  zeros: Node | undefined,
  scheme: QuantScheme,
): Node {
  return inScheme('dequantize', [packed, scales], zeros, scheme);
}

/** Of a scheme, only what the op table asks for is part of the node, and of its key. */
function inScheme(
  op: 'quantize' | 'dequantize',
  src: readonly Node[],
  zeros: Node | undefined,
  { bits, block, zeroPoint }: QuantScheme,
): Node {
  return makeNode(op, zeros ? [...src, zeros] : src, { bits, block, zeroPoint });
}

export function mark(value: Node, inputs: readonly Node[], rule: MarkRule): Node {
  return makeNode('mark', [value, ...inputs], { rule });
}

export function after(x: Node, tokens: readonly Node[]): Node {
  return makeNode('after', [x, ...tokens], null);
}

/** The id that the next node gets: tells nodes made before a moment from those made after it. */
export function nextNodeId(): number {
  return nextId;
}

export function call(src: readonly Node[], arg: CallArg): Node {
  return makeNode('call', src, arg);
}

export function sumTo(x: Node, shape: Shape): Node {
  const axes = shape.flatMap((dim, axis) =>
    !isVar(dim) && dim === 1 && x.shape[axis] !== 1 ? [axis] : [],
  );
  return reduce('sum', x, axes);
}

/** The constructors as the rules of the op table get them. */
export const build: Build = {
  constLike,
  full,
  iota,
  cast,
  bitcast,
  unary,
  binary,
  compare,
  where,
  reduce,
  scan,
  sort,
  reshape,
  permute,
  expand,
  pad,
  shrink,
  flip,
  window,
  spread,
  gather,
  scatter,
  dot,
  quantize,
  dequantize,
  mark,
  after,
  call,
  parameter: bufferNode,
  sumTo,
};
