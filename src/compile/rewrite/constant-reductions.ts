import { DTYPES, isFloat } from '../../ir/dtype.ts';
import { expand, reduce } from '../../ir/graph/build.ts';
import type { Node, NodeOf } from '../../ir/graph/types.ts';
import { isVar } from '../../ir/shape.ts';
import { constantLike, constantValue } from './constants.ts';
import type { Pass } from './pass.ts';

/**
 * Reductions of what is the same everywhere: the extremes along repeated axes are the value itself,
 * and sums of constants are known where no partial sum is rounded, in whatever order they are added.
 */
export const constantReductions: Pass = {
  name: 'constant reductions',
  start: () => (node) => (node.op === 'reduce' ? reduced(node) : node),
};

function reduced(node: NodeOf<'reduce'>): Node {
  const [x] = node.src;
  const count = countOf(node);
  if (count === undefined || count === 0) return node as Node;
  const value = constantValue(x);
  switch (node.arg.fn) {
    case 'max':
    case 'min':
      return value === undefined ? withoutRepeated(node) : constantLike(node as Node, value);
    case 'sum':
      return value !== undefined && sumIsExact(node, value, count)
        ? constantLike(node as Node, value * count)
        : (node as Node);
    case 'prod':
      return value === 1 ? constantLike(node as Node, 1) : (node as Node);
    default:
      return node.arg.fn satisfies never;
  }
}

/** Elements reduced to one, where that is known now. */
function countOf({ src: [x], arg }: NodeOf<'reduce'>): number | undefined {
  let count = 1;
  for (const axis of arg.axes) {
    const dim = x.shape[axis];
    if (isVar(dim)) return undefined;
    count *= dim;
  }
  return count;
}

/** Every sum of up to `count` of them is a number of the type. */
function sumIsExact({ dtype }: NodeOf<'reduce'>, value: number, count: number): boolean {
  if (!isFloat(dtype)) return Math.abs(value * count) <= Number.MAX_SAFE_INTEGER;
  // An integer of so few bits that its multiples fit into the significand. -0 + 0 would be 0.
  const largest = 2 / DTYPES[dtype].epsilon;
  return Number.isInteger(value) && !Object.is(value, -0) && Math.abs(value) * count <= largest;
}

/** Extremes along axes that repeat one element do without these axes. */
function withoutRepeated(node: NodeOf<'reduce'>): Node {
  const [x] = node.src;
  if (x.op !== 'expand') return node as Node;
  const [inner] = x.src;
  const isRepeated = (axis: number) => inner.shape[axis] === 1;
  if (!node.arg.axes.some(isRepeated)) return node as Node;
  const shape = x.shape.map((dim, axis) =>
    node.arg.axes.includes(axis) && isRepeated(axis) ? 1 : dim,
  );
  const rest = node.arg.axes.filter((axis) => !isRepeated(axis));
  return reduce(node.arg.fn, expand(inner, shape), rest);
}
