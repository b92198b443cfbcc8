import { badArgument } from '../base/errors.ts';
import { type AttentionOptions, scaledDotProductAttention } from '../tensor/functions/index.ts';
import {
  arange,
  Cell,
  type Dim,
  sizeValue,
  type Tensor,
  type TensorOptions,
  zeros,
} from '../tensor/index.ts';

export interface KVCacheOptions extends TensorOptions {
  /** Sequences. */
  readonly batch: number;
  /** Heads of keys and values. */
  readonly heads: number;
  /** Most positions. */
  readonly capacity: number;
  /** Numbers of one head. */
  readonly size: number;
}

/** The caches of a model's layers, and how many positions they hold after the present step. */
export interface CacheState {
  readonly caches: readonly KVCache[];
  readonly length: Dim;
}

/**
 * The keys and values of one attention layer for all positions so far. In a jitted step an update
 * writes the new positions only, and one program serves every length: bind the length as a var.
 *
 * @example
 * const length = variable('length', 1, capacity);
 * const step = jit((q: Tensor, k: Tensor, v: Tensor, length: Var) =>
 *   cache.attend(q, k, v, length),
 * );
 * await step(q, k, v, bind(length, 7)); // q, k, v of position 6
 */
export class KVCache {
  /** [batch, heads, capacity, size] */
  readonly keys: Cell;
  readonly values: Cell;

  constructor(options: KVCacheOptions) {
    const { batch, heads, capacity, size } = options;
    for (const [name, count] of Object.entries({ batch, heads, capacity, size })) {
      if (!Number.isInteger(count) || count < 1) {
        throw badArgument('KVCache', name, count, 'an integer >= 1');
      }
    }
    const cell = (name: string) => {
      const empty = zeros([batch, heads, capacity, size], options);
      const made = new Cell(empty, name);
      empty.dispose();
      return made;
    };
    this.keys = cell('cached keys');
    this.values = cell('cached values');
  }

  get capacity(): number {
    return this.keys.shape[2] as number;
  }

  /** The positions of the last `time` of `length` tokens, [time] i32. */
  positions(time: number, length: Dim): Tensor {
    const fits = typeof length === 'number' ? length >= time : length.min >= time;
    const most = typeof length === 'number' ? length : length.max;
    if (!fits || most > this.capacity) {
      const expected = `a length from ${time} (the new positions) to ${this.capacity}`;
      throw badArgument(
        'KVCache',
        'length',
        typeof length === 'number' ? length : length.name,
        expected,
      );
    }
    const options = { device: this.keys.held.device };
    return arange(time, options).add(sizeValue(length, options).sub(time));
  }

  /**
   * Puts in new keys and values and gives all of them. Positions beyond `length` keep what they
   * hold and are not seen.
   *
   * @param k [batch, heads, time, size], of the last `time` positions; v likewise
   * @param length positions after the update, a number or a var
   * @returns keys and values [batch, heads, length, size]
   */
  updateAndFetch(k: Tensor, v: Tensor, length: Dim): { keys: Tensor; values: Tensor } {
    const time = k.shape[2];
    if (typeof time !== 'number') {
      throw badArgument('KVCache', 'the time of k', time.name, 'a number of positions');
    }
    const positions = this.positions(time, length).reshape([1, 1, time, 1]);
    const update = (cell: Cell, x: Tensor) => {
      cell.set(cell.value.scatter(2, positions.expand(x.shape), x));
      return cell.value.narrow(2, 0, length);
    };
    return { keys: update(this.keys, k), values: update(this.values, v) };
  }

  /**
   * Causal attention of the last positions to all so far, which it first puts in.
   *
   * @param q [batch, query heads, time, size]
   * @returns [batch, query heads, time, size]
   */
  attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    length: Dim,
    options: Omit<AttentionOptions, 'mask' | 'isCausal'> = {},
  ): Tensor {
    const { keys, values } = this.updateAndFetch(k, v, length);
    const time = k.shape[2] as number;
    // The last position sees all others: no mask for it alone.
    if (time === 1) return scaledDotProductAttention(q, keys, values, options);
    const rows = this.positions(time, length).unsqueeze(1);
    const mask = arange(length, { device: q.device }).le(rows);
    return scaledDotProductAttention(q, keys, values, { ...options, mask });
  }

  dispose(): void {
    this.keys.dispose();
    this.values.dispose();
  }
}
