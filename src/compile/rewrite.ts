import { debug, debugging } from '../base/env.ts';
import { DTYPES } from '../ir/dtype.ts';
import { isSmallFloat, roundTo } from '../ir/float-formats.ts';
import { binary, cast, dot, full, permute, reshape, scalar, scatter } from '../ir/graph/build.ts';
import { BINARY, COMPARE, UNARY } from '../ir/graph/functions.ts';
import { castNumber } from '../ir/graph/ops/elementwise.ts';
import { printGraph } from '../ir/graph/print.ts';
import { rebuild } from '../ir/graph/rebuild.ts';
import type { Node } from '../ir/graph/types.ts';
import { verifyGraph } from '../ir/graph/verify.ts';
import { formatShape } from '../ir/shape.ts';

/** A graph-to-graph rewrite: sees each node with its sources already rewritten. */
export interface Pass {
  readonly name: string;
  /** Made anew for each run: a pass may remember nodes. */
  readonly start: () => (node: Node) => Node;
}

/** The value of a constant array (a scalar, reshaped or expanded), or undefined. */
export function constantValue(node: Node): number | undefined {
  if (node.op === 'const') return node.arg.value;
  const moves = node.op === 'reshape' || node.op === 'expand' || node.op === 'permute';
  return moves ? constantValue(node.src[0]) : undefined;
}

function constantLike(node: Node, value: number): Node {
  const rounded = roundTo(node.dtype, value);
  return node.shape.length === 0
    ? scalar(rounded, node.dtype)
    : full(rounded, node.shape, node.dtype);
}

/** Operations on constants become constants, with the arithmetic of the graph interpreter. */
export const constantFolding: Pass = {
  name: 'constant folding',
  start: () => (node) => {
    const values = node.src.map(constantValue);
    const [x, y] = values;
    if (x === undefined || values.includes(undefined)) return node;
    const integer = DTYPES[node.dtype].kind !== 'float';
    switch (node.op) {
      case 'unary':
        if (node.dtype === 'bool') return constantLike(node, 1 - x);
        return constantLike(node, UNARY[node.arg.fn].evaluate(x));
      case 'binary':
        return constantLike(node, BINARY[node.arg.fn].evaluate(x, y as number, integer));
      case 'compare':
        return constantLike(node, Number(COMPARE[node.arg.fn](x, y as number)));
      case 'cast':
        return constantLike(node, castNumber(x, node.src[0].dtype, node.dtype));
      case 'where':
        return node.src[x !== 0 ? 1 : 2];
      default:
        return node;
    }
  },
};

/** A reshape of a reshape is one, and so is an exchange of axes exchanged before. */
export const joinedMovements: Pass = { name: 'joined movements', start: () => joined };

function joined(node: Node): Node {
  const [x] = node.src;
  if (node.op === 'reshape' && x.op === 'reshape') return reshape(x.src[0], node.shape);
  if (node.op !== 'permute' || x.op !== 'permute') return node;
  const inner = x.arg.order;
  return permute(
    x.src[0],
    node.arg.order.map((axis) => inner[axis]),
  );
}

/** x * 1, x / 1, x - 0, -(-x), x + (-y), where(c, x, x): only what is exact for every x. */
export const identities: Pass = {
  name: 'identities',
  start: () => (node) => {
    if (node.op === 'where' && node.src[1] === node.src[2]) return node.src[1];
    const condition = node.op === 'where' ? constantValue(node.src[0]) : undefined;
    if (condition !== undefined) return node.src[condition !== 0 ? 1 : 2];
    if (node.op === 'unary' && node.arg.fn === 'neg') {
      const [inner] = node.src;
      if (inner.op === 'unary' && inner.arg.fn === 'neg') return inner.src[0];
    }
    if (node.op !== 'binary') return node;
    const [x, y] = node.src;
    const [left, right] = [constantValue(x), constantValue(y)];
    switch (node.arg.fn) {
      case 'mul':
        return right === 1 ? x : left === 1 ? y : node;
      case 'div':
        return right === 1 ? x : node;
      case 'sub':
        return Object.is(right, 0) ? x : node;
      case 'add':
        // x + 0 is x but for -0 + 0; x + -0 is x always.
        if (Object.is(right, -0)) return x;
        if (y.op === 'unary' && y.arg.fn === 'neg') return binary('sub', x, y.src[0]);
        return node;
      default:
        return node;
    }
  },
};

/** Division by a power of two is a multiplication, exactly. */
export const powerOfTwoDivision: Pass = {
  name: 'division by powers of two',
  start: () => (node) => {
    if (node.op !== 'binary' || node.arg.fn !== 'div') return node;
    if (DTYPES[node.dtype].kind !== 'float') return node;
    const divisor = constantValue(node.src[1]);
    if (divisor === undefined || divisor === 0 || !Number.isFinite(divisor)) return node;
    const exponent = Math.log2(Math.abs(divisor));
    if (!Number.isInteger(exponent) || Math.abs(exponent) > 100) return node;
    return binary('mul', node.src[0], constantLike(node, 1 / divisor));
  },
};

const upTo = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);

/**
 * A product whose rows and columns are then exchanged is the product of the exchanged operands:
 * (A B)' = B' A', in the same order of sums. Gradients of weights are such products.
 */
export const transposedProducts: Pass = {
  name: 'transposed products',
  start: () => (node) => {
    if (node.op !== 'permute') return node;
    const [product] = node.src;
    if (product.op !== 'dot') return node;
    const [a, b] = product.src;
    const { batch, contract } = product.arg;
    const rows = a.shape.length - batch - contract;
    const rank = product.shape.length;
    const exchanged = [
      ...upTo(0, batch),
      ...upTo(batch + rows, rank),
      ...upTo(batch, batch + rows),
    ];
    if (!exchanged.every((axis, i) => axis === node.arg.order[i])) return node;
    const last = (x: Node, count: number) => {
      const axes = upTo(0, x.shape.length);
      const split = axes.length - count;
      const order = [...axes.slice(0, batch), ...axes.slice(split), ...axes.slice(batch, split)];
      return joined(permute(x, order));
    };
    return dot(last(b, b.shape.length - batch - contract), last(a, contract), batch, contract);
  },
};

/** Sums of 16-bit floats are sums of f32, rounded once; a scatter sums in the memory of its result. */
export const wideScatters: Pass = {
  name: 'wide scatters',
  start: () => (node) => {
    if (node.op !== 'scatter' || node.arg.mode !== 'add' || !isSmallFloat(node.dtype)) return node;
    const [x, index, updates] = node.src;
    const sums = scatter(cast(x, 'f32'), index, cast(updates, 'f32'), node.arg.axis, 'add');
    return cast(sums, node.dtype);
  },
};

/** Equal operations on equal sources are one. */
export const commonSubexpressions: Pass = {
  name: 'common subexpressions',
  start: () => {
    const known = new Map<string, Node>();
    return (node) => {
      if (node.op === 'buffer') return node;
      const argument = JSON.stringify(node.arg, (_k, v: unknown) =>
        typeof v === 'number' && (Object.is(v, -0) || !Number.isFinite(v)) ? `#${1 / v}${v}` : v,
      );
      const src = node.src.map((s) => s.id).join(',');
      const key = `${node.op}:${node.dtype}:${formatShape(node.shape)}:${argument}:${src}`;
      const first = known.get(key);
      if (first) return first;
      known.set(key, node);
      return node;
    };
  },
};

/** The passes in the order in which they run. */
export const PASSES: readonly Pass[] = [
  joinedMovements,
  constantFolding,
  identities,
  powerOfTwoDivision,
  transposedProducts,
  wideScatters,
  commonSubexpressions,
];

/** Runs all passes over a graph. */
export function rewriteGraph(outputs: readonly Node[], passes: readonly Pass[] = PASSES): Node[] {
  let current = [...outputs];
  if (debugging(3)) debug(`graph\n${printGraph(current)}`);
  for (const pass of passes) {
    current = rebuild(current, pass.start());
    verifyGraph(current);
  }
  if (debugging(3))
    debug(`graph after ${passes.map((p) => p.name).join(', ')}\n${printGraph(current)}`);
  return current;
}
