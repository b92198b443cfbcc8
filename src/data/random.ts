/** The four 32-bit words of a generator; plain numbers, so that JSON keeps them exactly. */
export type RandomState = readonly [number, number, number, number];

/**
 * A small seeded generator (xoshiro128**, seeded by splitmix32).
 *
 * It uses 32-bit integer operations only, so that a seed gives the same corpus and the same
 * batches on every engine; Math.random can promise neither.
 */
export class SeededRandom {
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  /** @throws RangeError if `seed` is not an integer from 0 to 4294967295. */
  constructor(seed: number) {
    if (!Number.isInteger(seed) || seed < 0 || seed > 0xffffffff) {
      throw new RangeError(
        `seed is ${seed}; expected an integer from 0 to 4294967295. Pass such a number.`,
      );
    }
    let state = seed | 0;
    const next = (): number => {
      state = (state + 0x9e3779b9) | 0;
      return mix32(state);
    };
    this.#a = next();
    this.#b = next();
    this.#c = next();
    this.#d = next();
  }

  /** The next 32 random bits, as an integer from 0 to 4294967295. */
  next(): number {
    const result = Math.imul(rotateLeft(Math.imul(this.#b, 5), 7), 9) >>> 0;
    const shifted = this.#b << 9;
    this.#c ^= this.#a;
    this.#d ^= this.#b;
    this.#b ^= this.#c;
    this.#a ^= this.#d;
    this.#c ^= shifted;
    this.#d = rotateLeft(this.#d, 11);
    return result;
  }

  /**
   * A uniform integer from 0 to `bound - 1` (bias below bound / 2^32).
   *
   * @throws RangeError if `bound` is not an integer from 1 to 4294967295.
   */
  integer(bound: number): number {
    if (!Number.isInteger(bound) || bound < 1 || bound > 0xffffffff) {
      throw new RangeError(
        `bound is ${bound}; expected an integer from 1 to 4294967295. Pass 1 or more.`,
      );
    }
    return Math.floor((this.next() * bound) / 0x100000000);
  }

  /**
   * One item of a list, each equally likely.
   *
   * @throws RangeError if the list is empty.
   */
  pick<T>(items: readonly T[]): T {
    if (items.length === 0) {
      throw new RangeError('items is empty; expected at least one item to pick from.');
    }
    return items[this.integer(items.length)] as T;
  }

  /** A shuffled copy of a list (Fisher-Yates). */
  shuffled<T>(items: readonly T[]): T[] {
    const copy = items.slice();
    for (let last = copy.length - 1; last > 0; last -= 1) {
      const other = this.integer(last + 1);
      const kept = copy[last] as T;
      copy[last] = copy[other] as T;
      copy[other] = kept;
    }
    return copy;
  }

  /** The present state; give it to `restore` to continue from here. */
  state(): RandomState {
    return [this.#a >>> 0, this.#b >>> 0, this.#c >>> 0, this.#d >>> 0];
  }

  /** @throws RangeError if `state` is not four 32-bit integers, of which one is not zero. */
  restore(state: RandomState): void {
    const valid =
      Array.isArray(state) &&
      state.length === 4 &&
      state.some((word) => word !== 0) &&
      state.every((word) => Number.isInteger(word) && word >= 0 && word <= 0xffffffff);
    if (!valid) {
      throw new RangeError(
        `state is ${JSON.stringify(state)}; expected four integers from 0 to 4294967295, not all ` +
          'zero. Pass what state() returned.',
      );
    }
    this.#a = state[0] | 0;
    this.#b = state[1] | 0;
    this.#c = state[2] | 0;
    this.#d = state[3] | 0;
  }
}

/** A 32-bit hash of a text (FNV-1a with a final mix); the same on every engine. */
export function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  return mix32(hash) >>> 0;
}

function mix32(value: number): number {
  let mixed = value ^ (value >>> 16);
  mixed = Math.imul(mixed, 0x21f0aaad);
  mixed ^= mixed >>> 15;
  mixed = Math.imul(mixed, 0x735a2d97);
  return mixed ^ (mixed >>> 15);
}

function rotateLeft(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}
