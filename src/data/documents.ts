/** Token ids as they are kept: whole files of them take as few bytes as they need. */
export type TokenArray = Int32Array | Uint32Array | Uint16Array;

/** Documents as tokens, one behind the other. */
export interface TokenDocuments {
  /** Shape [tokens]. */
  readonly tokens: TokenArray;
  /** Where each document begins, and behind them the end of the last; shape [documents + 1]. */
  readonly starts: Float64Array;
  /** 1 for tokens that a model learns to say, 0 for what it is only given; absent: all 1. */
  readonly weights?: Uint8Array | undefined;
}

/** How many documents there are. */
export function documentCount(documents: TokenDocuments): number {
  return documents.starts.length - 1;
}

/** How many tokens count in a loss. */
export function targetCount({ tokens, weights }: TokenDocuments): number {
  if (weights === undefined) return tokens.length;
  let count = 0;
  for (const weight of weights) count += weight;
  return count;
}

/** Gathers documents; the arrays grow as they fill. */
export class DocumentBuilder {
  #tokens = new Int32Array(1024);
  #weights: Uint8Array | undefined;
  #length = 0;
  readonly #starts: number[] = [0];

  /** @param weights shape [ids]; without them every token counts */
  add(ids: ArrayLike<number>, weights?: ArrayLike<number>): void {
    const end = this.#length + ids.length;
    if (end > this.#tokens.length) this.#grow(end);
    this.#tokens.set(ids, this.#length);
    if (weights !== undefined && this.#weights === undefined) {
      this.#weights = new Uint8Array(this.#tokens.length).fill(1, 0, this.#length);
    }
    if (weights !== undefined) this.#weights?.set(weights, this.#length);
    else this.#weights?.fill(1, this.#length, end);
    this.#length = end;
    this.#starts.push(end);
  }

  /** The documents so far. */
  build(): TokenDocuments {
    return {
      tokens: this.#tokens.slice(0, this.#length),
      starts: Float64Array.from(this.#starts),
      weights: this.#weights?.slice(0, this.#length),
    };
  }

  #grow(least: number): void {
    const size = Math.max(least, 2 * this.#tokens.length);
    const tokens = new Int32Array(size);
    tokens.set(this.#tokens);
    this.#tokens = tokens;
    if (this.#weights !== undefined) {
      const weights = new Uint8Array(size);
      weights.set(this.#weights);
      this.#weights = weights;
    }
  }
}

/** Some of the documents, by number, in the order given. */
export function selectDocuments(
  documents: TokenDocuments,
  chosen: readonly number[],
): TokenDocuments {
  const { tokens, starts, weights } = documents;
  const builder = new DocumentBuilder();
  for (const index of chosen) {
    const [from, to] = [starts[index], starts[index + 1]];
    builder.add(tokens.subarray(from, to), weights?.subarray(from, to));
  }
  return builder.build();
}

/** The tokens from one place to another; a document that is cut becomes two. */
export function sliceDocuments(
  documents: TokenDocuments,
  from: number,
  to: number,
): TokenDocuments {
  const { tokens, starts, weights } = documents;
  const inside = starts.filter((start) => start > from && start < to);
  return {
    tokens: tokens.slice(from, to),
    starts: Float64Array.from([from, ...inside, to], (start) => start - from),
    weights: weights?.slice(from, to),
  };
}

/** All documents of several lists. */
export function joinDocuments(lists: readonly TokenDocuments[]): TokenDocuments {
  if (lists.length === 1) return lists[0];
  const builder = new DocumentBuilder();
  for (const list of lists) {
    const { tokens, starts, weights } = list;
    for (let index = 0; index < documentCount(list); index += 1) {
      const [from, to] = [starts[index], starts[index + 1]];
      builder.add(tokens.subarray(from, to), weights?.subarray(from, to));
    }
  }
  return builder.build();
}

/** A 32-bit hash of tokens and where documents begin, to know them again (FNV-1a). */
export function hashDocuments({ tokens, starts, weights }: TokenDocuments): number {
  let hash = 0x811c9dc5;
  for (const values of [tokens, starts, weights ?? []]) {
    for (const value of values) hash = Math.imul(hash ^ value, 0x01000193);
    hash = Math.imul(hash ^ values.length, 0x01000193);
  }
  return hash >>> 0;
}
