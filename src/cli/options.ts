import { InvalidArgumentError } from 'commander';

/** Parses an option that is an integer of at least `low` and at most `high`. */
export function integer(low: number, high = Number.MAX_SAFE_INTEGER): (text: string) => number {
  const range = high === Number.MAX_SAFE_INTEGER ? `>= ${low}` : `from ${low} to ${high}`;
  return (text) => {
    const value = parse(text);
    if (Number.isInteger(value) && value >= low && value <= high) return value;
    throw new InvalidArgumentError(`Expected an integer ${range}.`);
  };
}

/** Parses an option that is a number: at least `low`, or above it where `open` is given. */
export function number(low: number, open?: 'open'): (text: string) => number {
  return (text) => {
    const value = parse(text);
    if (Number.isFinite(value) && (open ? value > low : value >= low)) return value;
    throw new InvalidArgumentError(`Expected a number ${open ? '>' : '>='} ${low}.`);
  };
}

/** Seeds are 32-bit, as in the library. */
export const seed = integer(0, 0xffffffff);

function parse(text: string): number {
  return text.trim() === '' ? Number.NaN : Number(text);
}
