import { SeededRandom } from './random.ts';

/** Where a source of batches stands; plain JSON, and small: an order is dealt anew from its seed. */
export interface EpochState {
  /** What the state belongs to: kind, sizes, seed and a hash of the data. */
  readonly source: Readonly<Record<string, string | number | boolean>>;
  /** Times that all rows were dealt, from 0. */
  readonly epoch: number;
  /** Rows of this epoch that were dealt. */
  readonly row: number;
}

/** What is dealt in one epoch: so many rows, in an order of their own. */
export interface Epoch {
  readonly rows: number;
  /** Fills a row of a batch. @param row from 0 to rows - 1, in the order of dealing */
  fill(row: number): void;
}

/** Counts rows through epochs without end. */
export class EpochCursor {
  readonly #source: EpochState['source'];
  readonly #begin: (epoch: number) => Epoch;
  #epoch = 0;
  #row = 0;
  #current: Epoch | undefined;

  /** @param begin deals an epoch; the same number gives the same epoch */
  constructor(source: EpochState['source'], begin: (epoch: number) => Epoch) {
    this.#source = source;
    this.#begin = begin;
  }

  next(): void {
    this.#current ??= this.#begin(this.#epoch);
    if (this.#row >= this.#current.rows) {
      this.#epoch += 1;
      this.#row = 0;
      this.#current = this.#begin(this.#epoch);
    }
    this.#current.fill(this.#row);
    this.#row += 1;
  }

  state(): EpochState {
    return { source: this.#source, epoch: this.#epoch, row: this.#row };
  }

  /** @throws RangeError for the state of another source */
  restore(state: unknown): void {
    const { source, epoch, row } = (state ?? {}) as Partial<EpochState>;
    for (const [name, own] of Object.entries(this.#source)) {
      const value = source?.[name];
      if (value !== own) {
        throw new RangeError(
          `state.source.${name} is ${JSON.stringify(value)}; expected ${JSON.stringify(own)}, as ` +
            'in this source. Resume with the data, batch, sequence and seed of the state.',
        );
      }
    }
    for (const [name, value] of Object.entries({ epoch, row })) {
      if (!Number.isInteger(value) || (value as number) < 0) {
        throw new RangeError(
          `state.${name} is ${value}; expected a count. Pass what state() returned.`,
        );
      }
    }
    this.#epoch = epoch as number;
    this.#row = row as number;
    this.#current = undefined;
  }
}

/** The random numbers of an epoch, its own whatever was drawn before. */
export function randomOfEpoch(seed: number, epoch: number): SeededRandom {
  return new SeededRandom((seed ^ Math.imul(epoch + 1, 0x9e3779b1)) >>> 0);
}

/** The numbers from 0 to count - 1 in a random order (Fisher-Yates), or in their own. */
export function dealOrder(count: number, random: SeededRandom | undefined): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_, index) => index);
  if (random === undefined) return order;
  for (let last = count - 1; last > 0; last -= 1) {
    const other = random.integer(last + 1);
    const kept = order[last];
    order[last] = order[other];
    order[other] = kept;
  }
  return order;
}
