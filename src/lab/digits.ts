import type { SeededRandom } from '../data/index.ts';
import type { Tensor } from '../tensor/index.ts';
import type { Digits } from './data-folder.ts';

/** Images as rows of floats, with their labels. */
export interface Examples {
  /** [count, width] */
  readonly inputs: Float32Array;
  readonly labels: Uint8Array;
  readonly count: number;
  readonly width: number;
}

/** The first `count` digits (default: all), each pixel `ink` of 0..255. */
export function examplesOf(
  { images, labels }: Digits,
  ink: (pixel: number) => number,
  count = labels.length,
): Examples {
  const width = (images.shape[1] as number) * (images.shape[2] as number);
  const inputs = Float32Array.from(images.data.subarray(0, count * width), ink);
  return { inputs, labels: labels.subarray(0, count), count, width };
}

/** MNIST's own mean and deviation away from it, as is usual for it. */
export const standardised = (pixel: number): number => (pixel / 255 - 0.1307) / 0.3081;

/** From 0, the background, to 1. */
export const fromZero = (pixel: number): number => pixel / 255;

/** The rows of some places, one after the other. */
export function rowsOf({ inputs, width }: Examples, places: ArrayLike<number>): Float32Array {
  const rows = new Float32Array(places.length * width);
  for (let i = 0; i < places.length; i++) {
    const at = (places[i] as number) * width;
    rows.set(inputs.subarray(at, at + width), i * width);
  }
  return rows;
}

/** The places of all examples in random order, cut into whole batches. */
export function* shuffledBatches(
  count: number,
  batch: number,
  random: SeededRandom,
): Generator<number[], void, void> {
  const order = random.shuffled(Array.from({ length: count }, (_, i) => i));
  for (let at = 0; at + batch <= count; at += batch) yield order.slice(at, at + batch);
}

/** Rows of one measurement: bounds its memory. */
const MEASURED_AT_ONCE = 1024;

/**
 * How many examples are read wrongly: the largest of the outputs [to - from, classes] that `outputs`
 * gives for the places `from` to `to - 1` is not the label. It disposes of the outputs.
 */
export async function errorsOf(
  { labels, count }: Examples,
  outputs: (from: number, to: number) => Promise<Tensor>,
): Promise<number> {
  let wrong = 0;
  for (let from = 0; from < count; from += MEASURED_AT_ONCE) {
    const to = Math.min(count, from + MEASURED_AT_ONCE);
    const scores = await outputs(from, to);
    const classes = scores.shape[1] as number;
    const data = await scores.data();
    scores.dispose();
    for (let i = 0; i < to - from; i++) {
      const row = data.subarray(i * classes, (i + 1) * classes);
      let best = 0;
      for (let k = 1; k < classes; k++) if ((row[k] as number) > (row[best] as number)) best = k;
      if (best !== labels[from + i]) wrong++;
    }
  }
  return wrong;
}
