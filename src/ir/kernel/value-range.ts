import { range } from './index-expr.ts';
import type { Value } from './types.ts';

export interface ValueRange {
  readonly min: number;
  readonly max: number;
}

/** Deeper than any index is limited; networks of minima would take forever. */
const DEPTH = 6;

const ANY: ValueRange = { min: -(2 ** 31), max: 2 ** 31 - 1 };

/**
 * Bounds of an i32 that follow from how it is computed: of constants, and of what is limited by them
 * (`min`, `max`) or chosen among such. Of a vector they hold for each lane.
 */
export function valueRange(value: Value, depth = DEPTH): ValueRange {
  if (depth === 0) return ANY;
  switch (value.kind) {
    case 'const':
      return { min: value.value, max: value.value };
    case 'index': {
      const { min, max } = range(value.index);
      const last = value.step * (value.lanes - 1);
      return { min: min + Math.min(0, last), max: max + Math.max(0, last) };
    }
    case 'checked':
      return { min: 0, max: value.size - 1 };
    case 'binary': {
      if (value.fn !== 'min' && value.fn !== 'max') return ANY;
      const [a, b] = [valueRange(value.a, depth - 1), valueRange(value.b, depth - 1)];
      const choose = Math[value.fn];
      return { min: choose(a.min, b.min), max: choose(a.max, b.max) };
    }
    case 'select':
      return union([value.a, value.b], depth - 1);
    case 'pack':
      return union(value.items, depth - 1);
    case 'splat':
    case 'lane':
      return valueRange(value.a, depth - 1);
    default:
      return ANY;
  }
}

/** Whether it is one of 0 .. size - 1 whatever the data. */
export function isProvenBelow(value: Value, size: number): boolean {
  const { min, max } = valueRange(value);
  return min >= 0 && max < size;
}

function union(values: readonly Value[], depth: number): ValueRange {
  const ranges = values.map((value) => valueRange(value, depth));
  return {
    min: Math.min(...ranges.map((r) => r.min)),
    max: Math.max(...ranges.map((r) => r.max)),
  };
}
