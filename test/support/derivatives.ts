import type { Nested, Tensor } from '../../src/tensor/index.ts';

/** Central differences of a scalar function, in the numbers of the caller's choice. */
export async function slopes(
  f: (x: readonly number[]) => Promise<number>,
  at: readonly number[],
  step = 1e-5,
): Promise<number[]> {
  const found: number[] = [];
  for (let i = 0; i < at.length; i++) {
    const moved = (by: number) => at.map((x, j) => (j === i ? x + by : x));
    found.push(((await f(moved(step))) - (await f(moved(-step)))) / (2 * step));
  }
  return found;
}

/** All numbers of nested lists. */
export function flat(nested: Nested): number[] {
  if (typeof nested === 'number') return [nested];
  if (typeof nested === 'boolean') return [Number(nested)];
  return nested.flatMap(flat);
}

export async function values(tensor: Tensor): Promise<number[]> {
  return flat(await tensor.toArray());
}
