import { DTYPES, type DType, isFloat } from '../../dtype.ts';
import { decodeFloat, encodeFloat, isSmallFloat } from '../../float-formats.ts';
import { formatShape, shapesEqual } from '../../shape.ts';
import { Arithmetic } from '../arithmetic.ts';
import { BINARY, COMPARE, UNARY } from '../functions.ts';
import type { Build, Node, NodeOf, OpRule } from '../types.ts';

function requireKind(what: string, node: Node, kinds: readonly string[]): void {
  const { kind } = DTYPES[node.dtype];
  if (kinds.includes(kind)) return;
  throw new TypeError(
    `${what}: operand is ${node.dtype}; expected a type of kind ${kinds.join(' or ')}`,
  );
}

function requireSame(what: string, x: Node, y: Node): void {
  if (x.dtype !== y.dtype) {
    throw new TypeError(`${what}: operands are ${x.dtype} and ${y.dtype}; expected equal types`);
  }
  requireSameShape(what, x, y);
}

function requireSameShape(what: string, x: Node, y: Node): void {
  if (!shapesEqual(x.shape, y.shape)) {
    throw new TypeError(
      `${what}: operands are ${formatShape(x.shape)} and ${formatShape(y.shape)}; expected equal shapes`,
    );
  }
}

export const cast: OpRule<'cast'> = {
  infer: ([x], { to }) => ({ dtype: to, shape: x.shape }),
  gradient: (b, node, g) => {
    const [x] = node.src;
    return [isFloat(x.dtype) && isFloat(node.dtype) ? b.cast(g, x.dtype) : null];
  },
  batch: (b, node, [x]) => b.cast(x, node.arg.to),
  interpret: (node, [x]) => x.data.map((v) => castNumber(v, x.dtype, node.dtype)),
};

/** A number of one type as one of another, before it is rounded to that. */
export function castNumber(x: number, from: DType, to: DType): number {
  return isFloat(from) && !isFloat(to) ? saturate(x, to) : x;
}

/** Float to integer: toward zero, what is too large becomes the end of the range, NaN 0. */
function saturate(x: number, dtype: DType): number {
  const { kind, bytes } = DTYPES[dtype];
  if (kind === 'bool') return Number(x !== 0);
  if (Number.isNaN(x)) return 0;
  // 8-bit integers wrap, as PyTorch's do: they are made from an i32.
  const bits = Math.max(32, bytes * 8);
  const [low, high] =
    kind === 'uint' && bytes === 4 ? [0, 2 ** bits - 1] : [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1];
  return Math.min(high, Math.max(low, Math.trunc(x)));
}

/** The bits of a value of 4, 2 or 1 bytes, and back. */
function toBits(dtype: DType, x: number): number {
  if (isSmallFloat(dtype)) return encodeFloat(dtype, x);
  if (dtype === 'f32') return new Int32Array(Float32Array.of(x).buffer)[0];
  return x;
}
function fromBits(dtype: DType, bits: number): number {
  if (isSmallFloat(dtype)) return decodeFloat(dtype, bits);
  if (dtype === 'f32') return new Float32Array(Int32Array.of(bits).buffer)[0];
  return bits;
}

export const bitcast: OpRule<'bitcast'> = {
  infer([x], { to }) {
    if (DTYPES[x.dtype].bytes !== DTYPES[to].bytes || x.dtype === 'f64' || to === 'bool') {
      throw new TypeError(`bitcast: from ${x.dtype} to ${to}; expected types of the same size`);
    }
    return { dtype: to, shape: x.shape };
  },
  gradient: null,
  batch: (b, node, [x]) => b.bitcast(x, node.arg.to),
  interpret: (node, [x]) => x.data.map((v) => fromBits(node.dtype, toBits(x.dtype, v))),
};

export const unary: OpRule<'unary'> = {
  infer([x], { fn }) {
    requireKind(fn, x, UNARY[fn].kinds);
    return { dtype: x.dtype, shape: x.shape };
  },
  gradient: (b, node, g) => {
    const rule = UNARY[node.arg.fn].gradient;
    return [rule ? rule(new Arithmetic(b), g, node.src[0], node as Node) : null];
  },
  batch: (b, node, [x]) => b.unary(node.arg.fn, x),
  interpret(node, [x]) {
    const { evaluate } = UNARY[node.arg.fn];
    // ~ of a bool is its negation, not the complement of 32 bits.
    if (node.arg.fn === 'not' && x.dtype === 'bool') return x.data.map((v) => 1 - v);
    return x.data.map((v) => evaluate(v));
  },
};

export const binary: OpRule<'binary'> = {
  infer([x, y], { fn }) {
    requireKind(fn, x, BINARY[fn].kinds);
    requireSame(fn, x, y);
    return { dtype: x.dtype, shape: x.shape };
  },
  gradient: (b, node, g) => {
    const [x, y] = node.src;
    const rule = isFloat(node.dtype) ? BINARY[node.arg.fn].gradient : null;
    return rule ? rule(new Arithmetic(b), g, x, y, node as Node) : [null, null];
  },
  batch: (b, node, [x, y]) => b.binary(node.arg.fn, x, y),
  interpret(node, [x, y]) {
    const { evaluate } = BINARY[node.arg.fn];
    const integer = !isFloat(node.dtype);
    return x.data.map((v, i) => evaluate(v, y.data[i], integer));
  },
};

export const compare: OpRule<'compare'> = {
  infer([x, y], { fn }) {
    requireSame(fn, x, y);
    return { dtype: 'bool', shape: x.shape };
  },
  gradient: null,
  batch: (b, node, [x, y]) => b.compare(node.arg.fn, x, y),
  interpret(node, [x, y]) {
    const holds = COMPARE[node.arg.fn];
    return x.data.map((v, i) => Number(holds(v, y.data[i])));
  },
};

export const where: OpRule<'where'> = {
  infer([condition, x, y]) {
    requireKind('where', condition, ['bool']);
    requireSame('where', x, y);
    requireSameShape('where', condition, x);
    return { dtype: x.dtype, shape: x.shape };
  },
  gradient: (b, node, g) => whereGradient(b, node, g),
  batch: (b, _node, [condition, x, y]) => b.where(condition, x, y),
  interpret: (_node, [condition, x, y]) =>
    x.data.map((v, i) => (condition.data[i] !== 0 ? v : y.data[i])),
};

function whereGradient(b: Build, node: NodeOf<'where'>, g: Node): (Node | null)[] {
  const [condition] = node.src;
  const zero = b.constLike(g, 0);
  return [null, b.where(condition, g, zero), b.where(condition, zero, g)];
}
