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

/** What an attention layer sees of its past in one step. */
export interface LayerCache {
  /**
   * Puts in the keys and values of the step's tokens, then gives the attention of their queries to
   * all positions up to their own. Keys and queries are rotated already.
   *
   * @param q [batch, query heads, time, size]
   * @param k [batch, heads, time, size]; v likewise
   * @returns [batch, query heads, time, size]
   */
  attend(q: Tensor, k: Tensor, v: Tensor, options?: CachedAttentionOptions): Tensor;
}

export type CachedAttentionOptions = Omit<AttentionOptions, 'mask' | 'isCausal'>;

/** Where the tokens of a step stand in their texts, and what its layers know of those before. */
export interface CacheState {
  /** [time], or [batch, time] where the members differ; i32 */
  readonly positions: Tensor;
  /** One for each attention layer, from the first. */
  readonly layers: readonly LayerCache[];
}

/** The state of a step whose `time` tokens are the last of `length`, the same for all members. */
export function cacheState(caches: readonly KVCache[], time: number, length: Dim): CacheState {
  const [first] = caches;
  if (!first) throw badArgument('cacheState', 'caches', caches, 'a cache for each layer');
  return {
    positions: first.positions(time, length),
    layers: caches.map((cache) => ({
      attend: (q, k, v, options) => cache.attend(q, k, v, length, options),
    })),
  };
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
    options: CachedAttentionOptions = {},
  ): Tensor {
    const { keys, values } = this.updateAndFetch(k, v, length);
    const time = k.shape[2] as number;
    const { slidingWindow, ...others } = options;
    // The last position sees all others: no mask for it alone.
    if (time === 1 && !slidingWindow) return scaledDotProductAttention(q, keys, values, others);
    const rows = this.positions(time, length).unsqueeze(1);
    const places = arange(length, { device: q.device });
    const before = places.le(rows);
    const mask = slidingWindow ? before.logicalAnd(places.add(slidingWindow).gt(rows)) : before;
    return scaledDotProductAttention(q, keys, values, { ...others, mask });
  }

  dispose(): void {
    this.keys.dispose();
    this.values.dispose();
  }
}
