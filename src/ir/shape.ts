import { badArgument } from '../base/errors.ts';

/**
 * A size known only when a program runs, between `min` and `max`. Buffers are allocated for the
 * maximum and strides are constant, so a program compiled once serves every value.
 */
export interface Var {
  readonly name: string;
  readonly min: number;
  readonly max: number;
}

export type Dim = number | Var;
export type Shape = readonly Dim[];

/** Makes a symbolic size. Two vars are the same when their names are the same. */
export function variable(name: string, min: number, max: number): Var {
  if (!Number.isInteger(min) || min < 0) {
    throw badArgument('variable', 'min', min, 'an integer >= 0');
  }
  if (!Number.isInteger(max) || max < Math.max(1, min)) {
    throw badArgument('variable', 'max', max, `an integer >= ${Math.max(1, min)}`);
  }
  return { name, min, max };
}

export function isVar(dim: Dim): dim is Var {
  return typeof dim !== 'number';
}

/** The largest value a dimension can have: what memory and strides are made for. */
export function maxDim(dim: Dim): number {
  return typeof dim === 'number' ? dim : dim.max;
}

export function dimsEqual(a: Dim, b: Dim): boolean {
  if (typeof a === 'number' || typeof b === 'number') return a === b;
  return a.name === b.name;
}

export function shapesEqual(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((dim, i) => dimsEqual(dim, b[i]));
}

/** Number of elements, vars at their maximum. */
export function sizeOf(shape: Shape): number {
  return shape.reduce<number>((size, dim) => size * maxDim(dim), 1);
}

/** Row-major strides in elements, vars at their maximum. */
export function stridesOf(shape: Shape): number[] {
  const strides = new Array<number>(shape.length);
  let stride = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = stride;
    stride *= maxDim(shape[axis]);
  }
  return strides;
}

export function formatDim(dim: Dim): string {
  return typeof dim === 'number' ? String(dim) : dim.name;
}

export function formatShape(shape: Shape): string {
  return `[${shape.map(formatDim).join(', ')}]`;
}

/** True when every dimension is a plain number. */
export function isStatic(shape: Shape): shape is readonly number[] {
  return shape.every((dim) => typeof dim === 'number');
}

/** The common shape of two operands by numpy's rule. */
export function broadcastShapes(where: string, a: Shape, b: Shape): Shape {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, i) => {
    const x = a[i - (rank - a.length)] ?? 1;
    const y = b[i - (rank - b.length)] ?? 1;
    if (dimsEqual(x, y) || y === 1) return x;
    if (x === 1) return y;
    throw new TypeError(
      `${where}: shapes ${formatShape(a)} and ${formatShape(b)} do not broadcast ` +
        `(${formatDim(x)} against ${formatDim(y)}); sizes must be equal or 1, aligned at the right`,
    );
  });
}

/** The axes from one up to another (exclusive). */
export function upTo(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => from + i);
}

/** An axis in 0..rank-1; negative counts from the end. */
export function checkAxis(where: string, axis: number, rank: number): number {
  if (!Number.isInteger(axis) || axis < -rank || axis >= rank) {
    const expected = `an integer from ${-rank} to ${rank - 1}`;
    throw badArgument(where, 'axis', axis, rank === 0 ? 'none: a scalar has no axes' : expected);
  }
  return axis < 0 ? axis + rank : axis;
}

/** Several axes, or all of them when none are given; sorted and distinct. */
export function checkAxes(
  where: string,
  axes: number | readonly number[] | null | undefined,
  rank: number,
): number[] {
  if (axes === null || axes === undefined) return Array.from({ length: rank }, (_, i) => i);
  const list = (typeof axes === 'number' ? [axes] : axes).map((a) => checkAxis(where, a, rank));
  if (new Set(list).size !== list.length) {
    throw badArgument(where, 'axes', axes, 'distinct axes');
  }
  return list.sort((x, y) => x - y);
}
