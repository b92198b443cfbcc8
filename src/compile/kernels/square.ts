import type { KernelBuilder } from '../../ir/kernel/builder.ts';
import type { Value } from '../../ir/kernel/types.ts';

/**
 * As many rows as lanes, as columns: lane i of vector j becomes lane j of vector i. Each stage puts
 * lanes of vectors side by side that lay a power of two apart.
 */
export function turnSquare(b: KernelBuilder, rows: readonly Value[]): Value[] {
  const { lanes } = b;
  if (lanes === 4) return turnFour(b, rows);
  let turned = [...rows];
  for (let block = 1; block < lanes; block *= 2) {
    const before = turned;
    // Blocks that lie off the diagonal of each pair of rows change places.
    const first = b.eachLane((l) => (l & block ? lanes + l - block : l));
    const second = b.eachLane((l) => (l & block ? lanes + l : l + block));
    turned = before.map((row, i) =>
      i & block
        ? b.shuffle(before[i - block], row, second)
        : b.shuffle(row, before[i + block], first),
    );
  }
  return turned;
}

/** The same of four rows, by shuffles that every machine has. */
function turnFour(b: KernelBuilder, [p, q, r, s]: readonly Value[]): Value[] {
  const [low, high] = [
    [b.shuffle(p, q, [0, 4, 1, 5]), b.shuffle(r, s, [0, 4, 1, 5])],
    [b.shuffle(p, q, [2, 6, 3, 7]), b.shuffle(r, s, [2, 6, 3, 7])],
  ];
  return [low, high].flatMap(([x, y]) => [
    b.shuffle(x, y, [0, 1, 4, 5]),
    b.shuffle(x, y, [2, 3, 6, 7]),
  ]);
}
