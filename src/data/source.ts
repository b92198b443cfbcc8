import type { TokenBatch } from './batches.ts';

/** Where training batches come from. It can be stopped and continued at the same batch. */
export interface BatchSource {
  /** Rows of a batch. */
  readonly batch: number;
  /** Tokens of a row. */
  readonly sequence: number;
  next(): TokenBatch;
  /** Where it stands, as plain JSON, for checkpoints. */
  state(): unknown;
  /** @throws RangeError for the state of a source of other data */
  restore(state: unknown): void;
}
