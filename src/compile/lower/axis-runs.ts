import { type Index, mul } from '../../ir/kernel/index-expr.ts';
import { isVar, type Shape, sizeOf } from '../../ir/shape.ts';
import { splitIndex } from './expression.ts';
import { dimIndex } from './movement.ts';

/** Neighbouring axes that one loop walks without gaps in memory. */
export interface AxisRun {
  readonly shape: Shape;
  /** Places of the run. */
  readonly size: Index;
}

/**
 * The axes of a shape in as few loops as can be: memory has gaps in front of a symbolic axis, so a
 * run holds one only as its first. No axes give no runs.
 */
export function axisRuns(shape: Shape): AxisRun[] {
  const shapes: Shape[] = [];
  for (const dim of shape) {
    const last = shapes.pop();
    if (!last) shapes.push([dim]);
    else if (isVar(dim)) shapes.push(last, [dim]);
    else shapes.push([...last, dim]);
  }
  return shapes.map((run) => ({
    shape: run,
    size: mul(dimIndex(run[0]), sizeOf(run.slice(1))),
  }));
}

/** One index for each axis, from one for each run. */
export function indexOfRuns(runs: readonly AxisRun[], places: readonly Index[]): Index[] {
  return runs.flatMap((run, i) => splitIndex(places[i], run.shape));
}
