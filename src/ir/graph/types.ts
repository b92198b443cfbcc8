import type { DType } from '../dtype.ts';
import type { QuantScheme } from '../quantization.ts';
import type { Shape, Var } from '../shape.ts';

/** Functions of one float (`not`, `neg`, `abs`, `sign` also of integers; `not` of bool). */
export type UnaryFn =
  | 'neg'
  | 'abs'
  | 'sign'
  | 'not'
  | 'sqrt'
  | 'rsqrt'
  | 'reciprocal'
  | 'exp'
  | 'exp2'
  | 'expm1'
  | 'log'
  | 'log2'
  | 'log1p'
  | 'sin'
  | 'cos'
  | 'tan'
  | 'atan'
  | 'tanh'
  | 'sigmoid'
  | 'erf'
  | 'floor'
  | 'ceil'
  | 'round'
  | 'trunc';

/** `rem` has the sign of the dividend (C); `div` of integers truncates. */
export type BinaryFn =
  | 'add'
  | 'sub'
  | 'mul'
  | 'div'
  | 'rem'
  | 'pow'
  | 'atan2'
  | 'max'
  | 'min'
  | 'and'
  | 'or'
  | 'xor'
  | 'shl'
  | 'shr';

export type CompareFn = 'eq' | 'ne' | 'lt' | 'le';
export type ReduceFn = 'sum' | 'prod' | 'max' | 'min';
/** `logaddexp` of x and y is log(e^x + e^y). */
export type ScanFn = ReduceFn | 'logaddexp';

/** Elements before and after each axis. */
export type Pads = readonly (readonly [before: number, after: number])[];
/** First element and number of elements of each axis; only the number may be a var. */
export type Ranges = readonly (readonly [start: number, length: Shape[number]])[];

/** How an axis other than the last is stepped along; it has `size` places afterwards. */
export interface AxisSteps {
  readonly axis: number;
  readonly size: number;
  readonly stride: number;
  readonly dilation: number;
}

/** Plain data, as JSON holds it. */
export type Plain =
  | null
  | boolean
  | number
  | string
  | readonly Plain[]
  | { readonly [key: string]: Plain };

/**
 * A named sub-graph. The body says what is computed; a compiler may know a better way to compute it
 * by the name, with the attributes as what it has to know.
 */
export interface CallArg {
  readonly name: string;
  /** Stand-ins for the sources, in their order and of their types; the body reads nothing else. */
  readonly parameters: readonly NodeOf<'buffer'>[];
  readonly body: Node;
  readonly attributes: Plain;
  /**
   * Another result over the same parameters that a fast gradient would like to have (a softmax's
   * normaliser): the calls of the gradient get it as a source.
   */
  readonly saved?: { readonly name: string; readonly body: Node };
}

/** The argument of each graph op. Adding an op starts here: the op table then asks for its rules. */
export interface OpArgs {
  /** A scalar. */
  readonly const: { readonly value: number };
  /** An array bound when the graph runs. */
  readonly buffer: { readonly id: number; readonly name: string; readonly shape: Shape };
  /** The run-time value of a symbolic size, a scalar i32. */
  readonly var: { readonly variable: Var };
  /** 0, 1, ... n - 1 as i32 [n]. */
  readonly iota: { readonly length: Shape[number] };
  readonly cast: { readonly to: DType };
  readonly bitcast: { readonly to: DType };
  readonly unary: { readonly fn: UnaryFn };
  readonly binary: { readonly fn: BinaryFn };
  readonly compare: { readonly fn: CompareFn };
  readonly where: null;
  /** Reduced axes stay, with size 1. */
  readonly reduce: { readonly fn: ReduceFn; readonly axes: readonly number[] };
  /** out[.., i, ..] joins x[.., 0 to i, ..], one after the other. */
  readonly scan: { readonly fn: ScanFn; readonly axis: number };
  /** The i32 places of x's elements along an axis in ascending order; equals keep theirs. */
  readonly sort: { readonly axis: number };
  readonly reshape: { readonly shape: Shape };
  readonly permute: { readonly order: readonly number[] };
  /** Size-1 axes are repeated to the given shape of the same rank. */
  readonly expand: { readonly shape: Shape };
  readonly pad: { readonly pads: Pads; readonly value: number };
  readonly shrink: { readonly ranges: Ranges };
  readonly flip: { readonly axes: readonly number[] };
  /**
   * Place k of the last axis sees an axis moved by k dilation, in steps of stride:
   * out[.., o, .., k] = x[.., o stride + k dilation, .., k] for o below `size`.
   */
  readonly window: AxisSteps;
  /**
   * The transpose of `window`: out[.., i, .., k] = x[.., (i - k dilation) / stride, .., k] for i
   * below `size`, 0 where that is no place of x.
   */
  readonly spread: AxisSteps;
  /** out[.., i, ..] = x[.., index[.., i, ..], ..]: index has x's rank and the result's shape. */
  readonly gather: { readonly axis: number };
  /** (x, index, updates): x with updates added or put at the places that gather would read. */
  readonly scatter: { readonly axis: number; readonly mode: 'add' | 'set' };
  /** a [batch.., free.., contracted..] with b [batch.., contracted.., free..]. */
  readonly dot: { readonly batch: number; readonly contract: number };
  /** (x, scales[, zero points]): the packed codes of x. */
  readonly quantize: QuantScheme;
  /** (packed codes, scales[, zero points]): the values as f32. */
  readonly dequantize: QuantScheme;
  /**
   * The value of the first source; the others are what it was computed from. Only transforms of
   * graphs look at the rule: the compiler leaves the node out.
   */
  readonly mark: { readonly rule: MarkRule };
  /**
   * The value of the first source, to be computed on only when the other sources are known. It keeps
   * a second computation apart from the first and late; at run time it costs nothing.
   */
  readonly after: null;
  /** The body over the sources in place of its parameters. */
  readonly call: CallArg;
}

/** How transforms of graphs treat a marked value. */
export type MarkRule =
  /** No gradient flows back through it. */
  | { readonly kind: 'stop' }
  /** Its gradients by the sources after the first, instead of those of the first's graph. */
  | { readonly kind: 'custom'; readonly backward: Backward }
  /**
   * One result of a region between the sources after the first and the first: differentiation
   * computes the region again instead of keeping its intermediates. Results of one region share its
   * number.
   */
  | { readonly kind: 'checkpoint'; readonly region: number };

/** Gradients of inputs from that of an output; null: there is none. */
export type Backward = (
  upstream: Node,
  inputs: readonly Node[],
  output: Node,
) => readonly (Node | null)[];

export type OpName = keyof OpArgs;

/** One value of a graph: immutable, shared, never evaluated by itself. */
export interface NodeOf<K extends OpName> {
  /** Unique in the process, larger than the ids of its sources. */
  readonly id: number;
  readonly op: K;
  readonly dtype: DType;
  readonly shape: Shape;
  readonly src: readonly Node[];
  readonly arg: OpArgs[K];
}

export type Node = { readonly [K in OpName]: NodeOf<K> }[OpName];

/** An array of the graph interpreter: row-major, every value held as a double. */
export interface NdArray {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

/** What the interpreter needs beside the sources: the values of buffers and vars. */
export interface Environment {
  buffer(node: NodeOf<'buffer'>): NdArray;
  size(dim: Shape[number]): number;
  /** The value of a body whose parameters have these values. */
  evaluate(
    body: Node,
    parameters: readonly NodeOf<'buffer'>[],
    values: readonly NdArray[],
  ): Float64Array;
}

/**
 * Makes nodes. The rules of the op table get it as an argument, since the functions that make nodes
 * stand above the table (they ask it for shapes).
 */
export interface Build {
  constLike(node: Node, value: number): Node;
  full(value: number, shape: Shape, dtype: DType): Node;
  iota(length: Shape[number]): Node;
  cast(x: Node, to: DType): Node;
  bitcast(x: Node, to: DType): Node;
  unary(fn: UnaryFn, x: Node): Node;
  binary(fn: BinaryFn, x: Node, y: Node): Node;
  compare(fn: CompareFn, x: Node, y: Node): Node;
  where(condition: Node, x: Node, y: Node): Node;
  reduce(fn: ReduceFn, x: Node, axes: readonly number[]): Node;
  scan(fn: ScanFn, x: Node, axis: number): Node;
  sort(x: Node, axis: number): Node;
  reshape(x: Node, shape: Shape): Node;
  permute(x: Node, order: readonly number[]): Node;
  expand(x: Node, shape: Shape): Node;
  pad(x: Node, pads: Pads, value: number): Node;
  shrink(x: Node, ranges: Ranges): Node;
  flip(x: Node, axes: readonly number[]): Node;
  window(x: Node, steps: AxisSteps): Node;
  spread(x: Node, steps: AxisSteps): Node;
  gather(x: Node, index: Node, axis: number): Node;
  scatter(x: Node, index: Node, updates: Node, axis: number, mode: 'add' | 'set'): Node;
  dot(a: Node, b: Node, batch: number, contract: number): Node;
  quantize(x: Node, scales: Node, zeros: Node | undefined, scheme: QuantScheme): Node;
  dequantize(packed: Node, scales: Node, zeros: Node | undefined, scheme: QuantScheme): Node;
  mark(value: Node, inputs: readonly Node[], rule: MarkRule): Node;
  after(x: Node, tokens: readonly Node[]): Node;
  call(src: readonly Node[], arg: CallArg): Node;
  /** A parameter of a body. */
  parameter(dtype: DType, shape: Shape, name: string): NodeOf<'buffer'>;
  /** The sum of x over what a broadcast from `shape` (same rank) repeated: its gradient. */
  sumTo(x: Node, shape: Shape): Node;
}

/** The constructors, and the differentiation of bodies. */
export interface GradientBuild extends Build {
  /** Gradients of the outputs by targets; see `gradient.ts`. */
  gradients(
    outputs: readonly Node[],
    upstream: readonly Node[],
    targets: readonly Node[],
  ): readonly Node[];
}

/** The constructors, and the batching of bodies. */
export interface BatchBuild extends Build {
  /** Outputs over inputs (by node id) that have one more axis; see `batching.ts`. */
  batched(
    outputs: readonly Node[],
    inputs: ReadonlyMap<number, Node>,
    size: number,
  ): readonly Node[];
}

/** All that is known of one op. */
export interface OpRule<K extends OpName> {
  /** Type and shape of the result; throws a TypeError that names op and operand. Also the verifier. */
  infer(src: readonly Node[], arg: OpArgs[K]): { dtype: DType; shape: Shape };
  /** Gradients of the sources from that of the result; null: there is none (integers, steps). */
  gradient: ((b: GradientBuild, node: NodeOf<K>, g: Node) => readonly (Node | null)[]) | null;
  /** The op over sources that all have one more axis in front, of the given size. */
  batch(b: BatchBuild, node: NodeOf<K>, src: readonly Node[], size: number): Node;
  /** The definition: plain loops over doubles; the caller rounds the result to the node's type. */
  interpret(
    node: NodeOf<K>,
    src: readonly NdArray[],
    shape: readonly number[],
    env: Environment,
  ): Float64Array;
}
