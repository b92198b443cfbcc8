import { reduce, reshape } from '../../ir/graph/build.ts';
import type { Node, NodeOf } from '../../ir/graph/types.ts';
import { isVar } from '../../ir/shape.ts';
import { largestDivisor } from '../largest-divisor.ts';
import type { Pass } from './pass.ts';

/** Reductions of more elements are cut: one thread would take too long. */
const LONGEST = 2 ** 18;
/** Most elements of a piece. */
const PIECE = 2 ** 14;
/** Pieces of fewer are not worth their results. */
const LEAST = 2 ** 8;

/**
 * A very long reduction becomes two: of pieces, which threads share, and of their results. How it
 * is cut depends on the lengths of the axes alone, so the bits of a result do, too: sums of
 * this length have another order than the plain one, everywhere the same.
 */
export const longReductions: Pass = {
  name: 'long reductions',
  start: () => (node) => (node.op === 'reduce' ? cut(node) : node),
};

function cut(node: NodeOf<'reduce'>): Node {
  const [x] = node.src;
  const { fn, axes } = node.arg;
  const sizes = axes.map((axis) => x.shape[axis]);
  if (sizes.some(isVar)) return node as Node;
  const total = (sizes as number[]).reduce((n, size) => n * size, 1);
  if (total <= LONGEST) return node as Node;
  // Whole axes from the end belong to a piece; of the next one, as much as fits.
  let piece = 1;
  let split = axes.length - 1;
  while (split >= 0 && piece * (sizes[split] as number) <= PIECE) {
    piece *= sizes[split] as number;
    split--;
  }
  const size = sizes[split] as number;
  const part = largestDivisor(size, Math.floor(PIECE / piece));
  if (piece * part < LEAST) return node as Node;
  const axis = axes[split];
  const shape = [...x.shape.slice(0, axis), size / part, part, ...x.shape.slice(axis + 1)];
  const inner = [axis + 1, ...axes.slice(split + 1).map((a) => a + 1)];
  const pieces = reduce(fn, reshape(x, shape), inner);
  const whole = cut(reduce(fn, pieces, axes.slice(0, split + 1)) as NodeOf<'reduce'>);
  return reshape(whole, node.shape);
}
