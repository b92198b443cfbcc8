import type { TokenBatch } from './batches.ts';
import { documentCount, hashDocuments, type TokenDocuments } from './documents.ts';
import { dealOrder, type Epoch, EpochCursor, type EpochState, randomOfEpoch } from './epochs.ts';
import type { BatchSource } from './source.ts';

/** What to make batches of; `batch` in rows, `sequence` in tokens of a row. */
export interface DocumentBatchOptions {
  readonly documents: TokenDocuments;
  readonly batch: number;
  readonly sequence: number;
  /** An integer from 0 to 4294967295; each epoch has an order of its own. */
  readonly seed: number;
  /** Deals in random order (default true). */
  readonly shuffle?: boolean;
}

/**
 * Rows without a gap: documents are laid end to end, in a new order each epoch, and cut into rows,
 * which are dealt in random order, too. Each token is a target exactly once an epoch, but the first,
 * which nothing precedes; columns that are left over at the two ends weigh 0. A batch that the end
 * of an epoch finds half full is filled from the next.
 *
 * Documents that share a row see each other: nothing masks the earlier ones. They should end with a
 * token that says so.
 */
export class PackedBatches implements BatchSource {
  readonly batch: number;
  readonly sequence: number;
  readonly #documents: TokenDocuments;
  readonly #cursor: EpochCursor;
  readonly #rows: RowWriter;

  /** @throws RangeError for sizes that are no positive integers, or less than two tokens */
  constructor(options: DocumentBatchOptions) {
    const { documents, batch, sequence, seed, shuffle = true } = options;
    const { tokens } = documents;
    requireSizes(batch, sequence);
    if (tokens.length < 2) {
      throw new RangeError(
        `documents hold ${tokens.length} tokens; expected at least two, one to be given and one ` +
          'to be said. Use more text.',
      );
    }
    this.batch = batch;
    this.sequence = sequence;
    this.#documents = documents;
    this.#rows = new RowWriter(batch, sequence);
    const source = sourceOf('packed', options);
    this.#cursor = new EpochCursor(source, (epoch) => this.#deal(epoch, seed, shuffle));
  }

  /** Rows of an epoch; an epoch is about so many divided by `batch` batches long. */
  get rowsPerEpoch(): number {
    return Math.ceil((this.#documents.tokens.length - 1) / this.sequence);
  }

  next(): TokenBatch {
    return this.#rows.batchOf(() => this.#cursor.next());
  }

  state(): EpochState {
    return this.#cursor.state();
  }

  restore(state: unknown): void {
    this.#cursor.restore(state);
  }

  #deal(epoch: number, seed: number, shuffle: boolean): Epoch {
    const { sequence } = this;
    const random = shuffle ? randomOfEpoch(seed, epoch) : undefined;
    const stream = new DocumentStream(this.#documents, dealOrder(this.#count, random));
    const targets = this.#documents.tokens.length - 1;
    // Where rows are cut differs from epoch to epoch, or one long text would always be cut alike.
    const shift = random === undefined || targets <= sequence ? 0 : random.integer(sequence);
    const order = dealOrder(Math.ceil((targets + shift) / sequence), random);
    return {
      rows: order.length,
      fill: (row) => {
        const begin = order[row] * sequence - shift;
        const from = Math.max(0, begin);
        const length = Math.min(targets, begin + sequence) - from;
        this.#rows.write(stream, from, length);
      },
    };
  }

  get #count(): number {
    return documentCount(this.#documents);
  }
}

/**
 * One document a row, from its beginning. What is behind a document weighs 0; of a longer document
 * only the first `sequence + 1` tokens are used, and `cut` tells how many there are.
 */
export class PaddedBatches implements BatchSource {
  readonly batch: number;
  readonly sequence: number;
  /** Documents that are longer than a row. */
  readonly cut: number;
  readonly #documents: TokenDocuments;
  readonly #cursor: EpochCursor;
  readonly #rows: RowWriter;
  /** Documents with at least one target. */
  readonly #usable: Uint32Array;

  /** @throws RangeError for sizes that are no positive integers, or no document of two tokens */
  constructor(options: DocumentBatchOptions) {
    const { documents, batch, sequence, seed, shuffle = true } = options;
    requireSizes(batch, sequence);
    const { starts } = documents;
    const numbers = Uint32Array.from({ length: documentCount(documents) }, (_, index) => index);
    this.#usable = numbers.filter((index) => starts[index + 1] - starts[index] > 1);
    if (this.#usable.length === 0) {
      throw new RangeError(
        'documents has none of two tokens; expected at least one. Use longer documents.',
      );
    }
    this.batch = batch;
    this.sequence = sequence;
    this.cut = numbers.filter((index) => starts[index + 1] - starts[index] > sequence + 1).length;
    this.#documents = documents;
    this.#rows = new RowWriter(batch, sequence);
    const source = sourceOf('padded', options);
    this.#cursor = new EpochCursor(source, (epoch) => this.#deal(epoch, seed, shuffle));
  }

  get rowsPerEpoch(): number {
    return this.#usable.length;
  }

  next(): TokenBatch {
    return this.#rows.batchOf(() => this.#cursor.next());
  }

  state(): EpochState {
    return this.#cursor.state();
  }

  restore(state: unknown): void {
    this.#cursor.restore(state);
  }

  #deal(epoch: number, seed: number, shuffle: boolean): Epoch {
    const order = dealOrder(this.#usable.length, shuffle ? randomOfEpoch(seed, epoch) : undefined);
    const { starts } = this.#documents;
    const stream = new DocumentStream(this.#documents, undefined);
    return {
      rows: order.length,
      fill: (row) => {
        const document = this.#usable[order[row]];
        const length = Math.min(starts[document + 1] - starts[document] - 1, this.sequence);
        this.#rows.write(stream, starts[document], length);
      },
    };
  }
}

/**
 * All of some documents once, packed and in their order, for evaluation. Rows and columns that are
 * left over in the last batch weigh 0.
 */
export function* evaluationBatches(
  documents: TokenDocuments,
  sizes: { readonly batch: number; readonly sequence: number },
): Generator<TokenBatch> {
  const source = new PackedBatches({ documents, ...sizes, seed: 0, shuffle: false });
  for (let left = source.rowsPerEpoch; left > 0; left -= sizes.batch) {
    const batch = source.next();
    // What the next epoch filled up with does not count.
    batch.weights?.fill(0, Math.min(left, sizes.batch) * sizes.sequence);
    yield batch;
  }
}

/** Reads documents in some order as if they were one text. */
class DocumentStream {
  readonly #documents: TokenDocuments;
  readonly #order: Uint32Array | undefined;
  /** Where each document begins in the stream. */
  readonly #places: Float64Array;

  constructor(documents: TokenDocuments, order: Uint32Array | undefined) {
    const { starts } = documents;
    this.#documents = documents;
    this.#order = order;
    this.#places = starts;
    if (order !== undefined) {
      const places = new Float64Array(order.length);
      let place = 0;
      order.forEach((document, index) => {
        places[index] = place;
        place += starts[document + 1] - starts[document];
      });
      this.#places = places;
    }
  }

  /** Calls back for the tokens from a place on, `count` of them. */
  read(from: number, count: number, take: (token: number, weight: number, index: number) => void) {
    const { tokens, starts, weights } = this.#documents;
    let index = 0;
    for (let at = this.#find(from); index < count; at += 1) {
      const document = this.#order === undefined ? at : this.#order[at];
      const begin = starts[document] + (from + index - this.#places[at]);
      for (let token = begin; token < starts[document + 1] && index < count; token += 1) {
        take(tokens[token], weights === undefined ? 1 : weights[token], index);
        index += 1;
      }
    }
  }

  /** The last document that begins at or before a place. */
  #find(place: number): number {
    let low = 0;
    let high = this.#places.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#places[middle] <= place) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

/** Writes rows of inputs, targets and weights; what a row does not fill stays 0. */
class RowWriter {
  readonly #batch: number;
  readonly #sequence: number;
  #inputs = new Int32Array();
  #targets = new Int32Array();
  #weights = new Float32Array();
  #row = 0;

  constructor(batch: number, sequence: number) {
    this.#batch = batch;
    this.#sequence = sequence;
  }

  batchOf(fillRow: () => void): TokenBatch {
    const size = this.#batch * this.#sequence;
    this.#inputs = new Int32Array(size);
    this.#targets = new Int32Array(size);
    this.#weights = new Float32Array(size);
    for (this.#row = 0; this.#row < this.#batch; this.#row += 1) fillRow();
    return { inputs: this.#inputs, targets: this.#targets, weights: this.#weights };
  }

  /** `length` tokens from a place on, and as targets the tokens behind them. */
  write(stream: DocumentStream, from: number, length: number): void {
    const start = this.#row * this.#sequence;
    stream.read(from, length + 1, (token, weight, index) => {
      if (index < length) this.#inputs[start + index] = token;
      if (index > 0) {
        this.#targets[start + index - 1] = token;
        this.#weights[start + index - 1] = weight;
      }
    });
  }
}

function sourceOf(kind: string, options: DocumentBatchOptions): EpochState['source'] {
  const { documents, batch, sequence, seed, shuffle = true } = options;
  return {
    kind,
    batch,
    sequence,
    seed,
    shuffle,
    tokens: documents.tokens.length,
    documents: documentCount(documents),
    hash: hashDocuments(documents),
  };
}

function requireSizes(batch: number, sequence: number): void {
  for (const [name, value] of Object.entries({ batch, sequence })) {
    if (!Number.isInteger(value) || value < 1) {
      throw new RangeError(`${name} is ${value}; expected a positive integer. Pass 1 or more.`);
    }
  }
}
