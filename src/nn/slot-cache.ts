import { badArgument } from '../base/errors.ts';
import { pagedAttention } from '../tensor/functions/index.ts';
import { arange, Cell, type Tensor, type TensorOptions, zeros } from '../tensor/index.ts';
import type { CachedAttentionOptions, CacheState, LayerCache } from './kv-cache.ts';

/** What the keys of one attention layer are like. */
export interface LayerShape {
  /** Heads of keys and values. */
  readonly heads: number;
  /** Numbers of one head. */
  readonly size: number;
}

export interface SlotCacheOptions extends TensorOptions {
  /** One for each attention layer. */
  readonly layers: readonly LayerShape[];
  /** Sequences that are kept at the same time. */
  readonly slots: number;
  /** Most positions of a sequence. */
  readonly capacity: number;
}

/** Keys of a tile of attention: rows beyond a sequence are cheaper than a mask in each tile. */
const TILE = 32;

/**
 * Keys and values of several sequences, each in a slot of its own, at a length of its own: what
 * continuous batching (Yu et al. 2022) stands on. A step names the slots it continues and where in
 * them its tokens stand; it writes those places and no others, and one program serves all slots and
 * lengths. What a sequence sees does not depend on the others, so neither do its bits.
 */
export class SlotCache {
  readonly slots: number;
  readonly capacity: number;
  readonly #rows: number;
  readonly #layers: readonly Layer[];

  constructor(options: SlotCacheOptions) {
    const { layers, slots, capacity } = options;
    const sizes = layers.flatMap(({ heads, size }) => [
      ['heads', heads] as const,
      ['size', size] as const,
    ]);
    for (const [name, count] of [['slots', slots], ['capacity', capacity], ...sizes] as const) {
      if (!Number.isInteger(count) || count < 1) {
        throw badArgument('SlotCache', name, count, 'an integer >= 1');
      }
    }
    this.slots = slots;
    this.capacity = capacity;
    this.#rows = Math.ceil(capacity / TILE) * TILE;
    const cell = ({ heads, size }: LayerShape, name: string) => {
      const empty = zeros([slots * heads * this.#rows, size], options);
      const made = new Cell(empty, name);
      empty.dispose();
      return made;
    };
    this.#layers = layers.map((layer, i) => ({
      heads: layer.heads,
      keys: cell(layer, `keys of layer ${i}`),
      values: cell(layer, `values of layer ${i}`),
    }));
  }

  /** All memory that it holds. */
  get cells(): Cell[] {
    return this.#layers.flatMap(({ keys, values }) => [keys, values]);
  }

  get bytes(): number {
    return this.cells.reduce((sum, cell) => sum + cell.size * 4, 0);
  }

  /**
   * The state of a step whose row b continues the sequence in slots[b] with `time` tokens from
   * position starts[b] on. Numbers outside the cache are moved to its ends, so that no step can fail
   * and each works in place: who calls sees to it that they are inside.
   *
   * @param slots i32 [batch]
   * @param starts i32 [batch]
   */
  state(slots: Tensor, starts: Tensor, time: number): CacheState {
    const [batch] = slots.shape as readonly number[];
    if (slots.rank !== 1 || starts.rank !== 1 || starts.shape[0] !== batch) {
      const got = [slots.shape, starts.shape];
      throw badArgument('SlotCache', 'slots and starts', got, 'two i32 [batch]');
    }
    if (!Number.isInteger(time) || time < 1 || time > this.capacity) {
      throw badArgument('SlotCache', 'time', time, `an integer from 1 to ${this.capacity}`);
    }
    const offset = limited(starts, this.#rows - time);
    const positions = arange(time, { device: slots.device }).add(offset.unsqueeze(1));
    const table = limited(slots, this.slots - 1).unsqueeze(1);
    const layers = this.#layers.map((layer): LayerCache => {
      const update = (cell: Cell, x: Tensor) => this.#update(layer, cell, slots, positions, x);
      return {
        attend: (q, k, v, { enableGqa: _, ...options }: CachedAttentionOptions = {}) =>
          pagedAttention(q, update(layer.keys, k), update(layer.values, v), table, {
            ...options,
            isCausal: true,
            queryOffset: offset,
          }),
      };
    });
    return { positions: limited(positions, this.capacity - 1), layers };
  }

  /**
   * Puts x [batch, heads, time, size] at positions [batch or 1, time] of slots [batch].
   *
   * @returns all that the cell holds, [slots, rows, heads, size]: a slot is a block of a pool
   */
  #update({ heads }: Layer, cell: Cell, slots: Tensor, positions: Tensor, x: Tensor): Tensor {
    const [, size] = cell.shape as readonly number[];
    const options = { device: slots.device };
    const slot = limited(slots, this.slots - 1).reshape([-1, 1, 1]);
    const head = slot.mul(heads).add(arange(heads, options).unsqueeze(1));
    const rows = head.mul(this.#rows).add(positions.unsqueeze(1));
    const count = rows.size as number;
    const index = limited(rows.reshape([count, 1]), this.slots * heads * this.#rows - 1);
    const next = cell.value.scatter(0, index.expand([count, size]), x.reshape([count, size]));
    cell.set(next);
    return next.reshape([this.slots, heads, this.#rows, size]).transpose(1, 2);
  }

  /** Empties slots, i32 [batch]: what a failed step has put there would be seen through a mask. */
  clear(slots: Tensor): void {
    const [batch] = slots.shape as readonly number[];
    const options = { device: slots.device };
    const all = arange(this.#rows, options).unsqueeze(0);
    for (const layer of this.#layers) {
      for (const cell of [layer.keys, layer.values]) {
        const empty = zeros([batch, layer.heads, this.#rows, cell.shape[1] as number], options);
        this.#update(layer, cell, slots, all, empty);
      }
    }
  }

  dispose(): void {
    for (const cell of this.cells) cell.dispose();
  }
}

interface Layer {
  readonly heads: number;
  /** [slots x heads x rows, size]: the positions of a head lie one after the other. */
  readonly keys: Cell;
  readonly values: Cell;
}

/** An index that the compiler knows to be one of 0 .. last: it needs no check, so nothing can fail. */
function limited(index: Tensor, last: number): Tensor {
  return index.maximum(0).minimum(last);
}
