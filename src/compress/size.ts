import { DTYPES } from '../ir/dtype.ts';
import { type Module, PackedWeight } from '../nn/index.ts';
import { quantScheme } from '../tensor/functions/index.ts';
import type { Cell } from '../tensor/index.ts';

/** Bytes of a weight in a file: codes and f16 scales of a packed one. */
export function bytesOf(weight: Cell | PackedWeight): number {
  if (!(weight instanceof PackedWeight)) return weight.size * DTYPES[weight.dtype].bytes;
  const [rows, columns] = weight.shape;
  const { bits, block } = quantScheme(weight.scheme, columns);
  return rows * ((columns * bits) / 8 + (columns / block) * 2);
}

export interface ModelSize {
  /** Weights of all kinds, each shared one once. */
  readonly weights: number;
  readonly bytes: number;
  readonly bitsPerWeight: number;
}

/** How large a model is in a file. */
export function modelSize(model: Module): ModelSize {
  let weights = 0;
  let bytes = 0;
  const packed = [...model.modules()].filter((entry): entry is [string, PackedWeight] => {
    return entry[1] instanceof PackedWeight;
  });
  for (const [, weight] of packed) {
    weights += weight.shape[0] * weight.shape[1];
    bytes += bytesOf(weight);
  }
  for (const [name, cell] of model.state()) {
    if (packed.some(([layer]) => name.startsWith(`${layer}.`))) continue;
    weights += cell.size;
    bytes += bytesOf(cell);
  }
  return { weights, bytes, bitsPerWeight: weights === 0 ? 0 : (8 * bytes) / weights };
}
