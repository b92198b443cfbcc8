import type { KernelBuilder } from '../../ir/kernel/builder.ts';
import type { Value } from '../../ir/kernel/types.ts';

/** Four rows of four as four columns: lane i of vector j becomes lane j of vector i. */
export function turnSquare(b: KernelBuilder, [p, q, r, s]: readonly Value[]): Value[] {
  const [low, high] = [
    [b.shuffle(p, q, [0, 4, 1, 5]), b.shuffle(r, s, [0, 4, 1, 5])],
    [b.shuffle(p, q, [2, 6, 3, 7]), b.shuffle(r, s, [2, 6, 3, 7])],
  ];
  return [low, high].flatMap(([x, y]) => [
    b.shuffle(x, y, [0, 1, 4, 5]),
    b.shuffle(x, y, [2, 3, 6, 7]),
  ]);
}
