import { Embedding, Linear, type Module, PackedWeight } from '../nn/index.ts';
import { type QuantSchemeName, quantScheme } from '../tensor/functions/index.ts';
import { type DeviceName, tensor } from '../tensor/index.ts';

/** Bytes of any values, which codes of any weight look like. */
export function randomBytes(count: number, seed: number): Uint8Array {
  let state = (seed * 2654435761 + 12345) >>> 0;
  const words = Uint32Array.from({ length: Math.ceil(count / 4) }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.imul(state ^ (state >>> 15), 2246822519);
  });
  return new Uint8Array(words.buffer, 0, count);
}

/** A weight [rows, columns] of random codes, scaled to the size of an initial weight. */
export function randomWeight(
  [rows, columns]: readonly number[],
  name: QuantSchemeName,
  seed: number,
  device: DeviceName,
): Promise<PackedWeight> {
  const { bits, block } = quantScheme(name, columns);
  const bytes = randomBytes((rows * columns * bits) / 8, seed);
  const codes = tensor(bits === 8 ? new Int8Array(bytes.buffer, 0, bytes.length) : bytes, {
    shape: [rows, (columns * bits) / 8],
    device,
  });
  const blocks = (rows * columns) / block;
  const scale = 0.05 / 2 ** (bits - 1);
  const wide = tensor(new Float32Array(blocks).fill(scale), {
    shape: [rows, columns / block],
    device,
  });
  const scales = wide.cast('f16');
  const weight = new PackedWeight({ scheme: name, shape: [rows, columns], codes, scales });
  for (const t of [codes, wide, scales]) t.dispose();
  return weight.realize();
}

/** What a model of packed weights amounts to. */
export interface Packed {
  readonly weights: number;
  /** Bytes of the weights that a token reads. */
  readonly bytes: number;
}

/** Puts random packed weights in place of a model's matrices. */
export async function packRandomly(
  model: Module,
  scheme: QuantSchemeName,
  device: DeviceName,
): Promise<Packed> {
  let weights = 0;
  let bytes = 0;
  let seed = 1;
  for (const module of model.modules().values()) {
    if (!(module instanceof Linear || module instanceof Embedding)) continue;
    const weight = await randomWeight(module.weight.shape as number[], scheme, seed++, device);
    module.weight.dispose();
    module.weight = weight;
    weights += weight.shape[0] * weight.shape[1];
    // Of the embedding a token reads one row.
    if (module instanceof Linear) bytes += weight.bytes;
  }
  return { weights: weights + model.parameterCount(), bytes };
}
