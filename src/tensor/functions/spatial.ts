import { badArgument } from '../../base/errors.ts';
import type { Node } from '../../ir/graph/types.ts';
import { formatShape, isStatic } from '../../ir/shape.ts';
import type { Tensor } from '../tensor.ts';

/** One number for all spatial axes, or one for each. */
export type PerAxis = number | readonly number[];

/** An option for each of the spatial axes. */
export function perAxis(
  where: string,
  name: string,
  value: PerAxis,
  axes: number,
  least: number,
): number[] {
  const list = typeof value === 'number' ? new Array<number>(axes).fill(value) : [...value];
  if (list.length !== axes || !list.every((v) => Number.isInteger(v) && v >= least)) {
    throw badArgument(where, name, value, `an integer >= ${least}, or ${axes} of them`);
  }
  return list;
}

/**
 * The operand of a spatial function as [n, c, ...image]; a single [c, ...image] becomes a batch of
 * one, and `back` drops that axis of a result again.
 */
export function asBatch(where: string, x: Tensor, axes: number) {
  const alone = x.rank === axes + 1;
  if ((!alone && x.rank !== axes + 2) || !isStatic(x.shape)) {
    const image = ['length', 'height, width'][axes - 1];
    throw new TypeError(
      `${where}: x is ${formatShape(x.shape)}; expected static [n, c, ${image}] or [c, ${image}]`,
    );
  }
  const batch = alone ? x.unsqueeze(0) : x;
  return {
    batch,
    shape: batch.shape as readonly number[],
    back: (node: Node, ...others: Tensor[]): Tensor => {
      const y = batch.derive(node, ...others);
      return alone ? y.squeeze(0) : y;
    },
  };
}
