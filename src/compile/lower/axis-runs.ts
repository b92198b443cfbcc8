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
  return shapes.map(runOf);
}

/** A loop for each axis of more than one place. */
export function axisLoops(shape: Shape): AxisRun[] {
  const shapes: Shape[] = [];
  for (const dim of shape) {
    const last = shapes.pop();
    if (!last) shapes.push([dim]);
    else if (dim === 1 || last.every((d) => d === 1)) shapes.push([...last, dim]);
    else shapes.push(last, [dim]);
  }
  return shapes.map(runOf);
}

function runOf(shape: Shape): AxisRun {
  const [first, ...rest] = [...shape].sort((x, y) => Number(isVar(y)) - Number(isVar(x)));
  return { shape, size: mul(dimIndex(first), sizeOf(rest)) };
}

/** One index for each axis, from one for each run. */
export function indexOfRuns(runs: readonly AxisRun[], places: readonly Index[]): Index[] {
  return runs.flatMap((run, i) => splitIndex(places[i], run.shape));
}
