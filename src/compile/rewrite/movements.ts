import { expand, flip, pad, permute, reshape, shrink } from '../../ir/graph/build.ts';
import type { Node, NodeOf, Ranges } from '../../ir/graph/types.ts';
import { dimsEqual, isVar, shapesEqual } from '../../ir/shape.ts';
import type { Pass } from './pass.ts';

/**
 * Movements of movements become one, and those that move nothing go: reshapes, exchanges of axes,
 * repetitions, padding, cuts, cuts of padding, and reversals.
 */
export const joinedMovements: Pass = { name: 'joined movements', start: () => joinMovement };

/** The movement with the one below it; other nodes as they are. */
export function joinMovement(node: Node): Node {
  const [x] = node.src;
  switch (node.op) {
    case 'reshape':
      return x.op === 'reshape' || shapesEqual(x.shape, node.shape)
        ? reshape(x.op === 'reshape' ? x.src[0] : x, node.shape)
        : node;
    case 'expand':
      return x.op === 'expand' || shapesEqual(x.shape, node.shape)
        ? expand(x.op === 'expand' ? x.src[0] : x, node.shape)
        : node;
    case 'permute':
      return joinPermute(node);
    case 'pad':
      return joinPad(node);
    case 'shrink':
      return joinShrink(node);
    case 'flip':
      return joinFlip(node);
    default:
      return node;
  }
}

function joinPermute(node: Node & NodeOf<'permute'>): Node {
  const [x] = node.src;
  const { order } = node.arg;
  if (x.op === 'permute') {
    const inner = x.arg.order;
    return permute(
      x.src[0],
      order.map((axis) => inner[axis]),
    );
  }
  return order.every((axis, i) => axis === i) ? x : node;
}

function joinPad(node: Node & NodeOf<'pad'>): Node {
  const [x] = node.src;
  const { pads, value } = node.arg;
  if (x.op === 'pad' && Object.is(x.arg.value, value)) {
    const inner = x.arg.pads;
    const both = pads.map(
      ([before, after], axis) => [before + inner[axis][0], after + inner[axis][1]] as const,
    );
    return pad(x.src[0], both, value);
  }
  return pads.every(([before, after]) => before === 0 && after === 0) ? x : node;
}

function joinShrink(node: Node & NodeOf<'shrink'>): Node {
  const [x] = node.src;
  const { ranges } = node.arg;
  if (x.op === 'shrink') {
    const inner = x.arg.ranges;
    return shrink(
      x.src[0],
      ranges.map(([start, length], axis) => [start + inner[axis][0], length] as const),
    );
  }
  const inside = x.op === 'pad' ? withinPads(ranges, x) : undefined;
  if (inside) return shrink(x.src[0], inside);
  const whole = ranges.every(
    ([start, length], axis) => start === 0 && dimsEqual(length, x.shape[axis]),
  );
  return whole ? x : node;
}

/** A cut of a padded array as one of the array itself, where nothing of the padding is left. */
function withinPads(ranges: Ranges, { src: [x], arg }: NodeOf<'pad'>): Ranges | undefined {
  const inside = ranges.map(
    ([start, length], axis) => [start - arg.pads[axis][0], length] as const,
  );
  const fits = inside.every(([start, length], axis) => {
    const dim = x.shape[axis];
    const [before, after] = arg.pads[axis];
    if (before === 0 && after === 0) return true;
    return !isVar(dim) && !isVar(length) && start >= 0 && start + length <= dim;
  });
  return fits ? inside : undefined;
}

function joinFlip(node: Node & NodeOf<'flip'>): Node {
  const [x] = node.src;
  // Along an axis of one element there is no direction.
  const real = node.arg.axes.filter((axis) => x.shape[axis] !== 1);
  if (x.op !== 'flip') return real.length < node.arg.axes.length ? flip(x, real) : node;
  const once = [
    ...real.filter((axis) => !x.arg.axes.includes(axis)),
    ...x.arg.axes.filter((axis) => !real.includes(axis)),
  ];
  return flip(
    x.src[0],
    once.sort((a, b) => a - b),
  );
}
