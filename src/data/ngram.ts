/** `order`: the longest context, in characters (default 8). */
export interface NgramOptions {
  readonly order?: number;
}

/** From how many places on the distribution of a context is kept. */
const FREQUENT = 500;

/**
 * An n-gram character model: what came after the last few characters, in the training text?
 *
 * The positions of the text are sorted by the characters before them, read backwards, so that all
 * places with the same context lie side by side, for every context length at once. Orders are
 * mixed by Witten-Bell interpolation: a context that was seen often counts more than its shorter
 * endings.
 */
export class NgramModel {
  readonly order: number;
  /** Its characters by id, in the order of their code points. */
  readonly #characters: readonly string[];
  readonly #idOf: ReadonlyMap<string, number>;
  readonly #ids: Int32Array;
  readonly #sorted: Int32Array;
  /** Distributions of contexts that are seen so often that to count them anew would be slow. */
  readonly #frequent = new Map<number, Float64Array<ArrayBuffer>>();

  /**
   * @throws RangeError if `text` has no character to learn from, or `order` is not an integer from
   *   1 to 64.
   */
  constructor(text: string, options: NgramOptions = {}) {
    const { order = 8 } = options;
    if (!Number.isInteger(order) || order < 1 || order > 64) {
      throw new RangeError(`order is ${order}; expected an integer from 1 to 64. Try 8.`);
    }
    this.order = order;
    if (text === '') {
      throw new RangeError('text is empty; expected at least one character. Pass a text to learn.');
    }
    const point = (character: string) => character.codePointAt(0) as number;
    this.#characters = [...new Set(text)].sort((left, right) => point(left) - point(right));
    this.#idOf = new Map(this.#characters.map((character, id) => [character, id]));
    this.#ids = Int32Array.from(text, (character) => this.#idOf.get(character) as number);
    this.#sorted = sortByContext(this.#ids, this.#characters.length, order);
  }

  /**
   * The probability of each character of the training text as the next one after `context`.
   *
   * @returns a map from character to probability; they sum to 1.
   */
  next(context: string): Map<string, number> {
    const probabilities = this.#distribution(this.#known(context));
    return new Map(
      this.#characters.map((character, id) => {
        return [character, probabilities[id] as number];
      }),
    );
  }

  /**
   * Completes a prompt greedily, one most probable character at a time, up to a line end or
   * `limit` characters; the line end is not part of the answer.
   */
  complete(prompt: string, limit = 32): string {
    const ids = this.#known(prompt);
    let answer = '';
    while (answer.length < limit) {
      const id = indexOfLargest(this.#distribution(ids));
      const character = this.#characters[id] as string;
      if (character === '\n') {
        break;
      }
      answer += character;
      ids.push(id);
    }
    return answer;
  }

  /** The ids of the end of a text; an unknown character ends every context, as -1 matches none. */
  #known(text: string): number[] {
    return Array.from(text)
      .slice(-this.order)
      .map((character) => this.#idOf.get(character) ?? -1);
  }

  #distribution(context: readonly number[]): Float64Array {
    const size = this.#characters.length;
    let probabilities = new Float64Array(size).fill(1 / size);
    let low = 0;
    let high = this.#sorted.length;
    for (let depth = 0; depth <= this.order; depth += 1) {
      if (depth > 0) {
        const wanted = context[context.length - depth];
        if (wanted === undefined) {
          break;
        }
        const end = high;
        low = this.#firstAtLeast(low, end, depth, wanted);
        high = this.#firstAtLeast(low, end, depth, wanted + 1);
      }
      if (low >= high) {
        break;
      }
      const key = depth * this.#sorted.length + low;
      const known = this.#frequent.get(key);
      probabilities = known ?? this.#interpolate(probabilities, low, high);
      if (known === undefined && high - low >= FREQUENT) {
        this.#frequent.set(key, probabilities);
      }
    }
    return probabilities;
  }

  /** Mixes what followed the places `low` to `high - 1` with what shorter contexts say. */
  #interpolate(shorter: Float64Array, low: number, high: number): Float64Array<ArrayBuffer> {
    const counts = new Float64Array(shorter.length);
    let kinds = 0;
    for (let index = low; index < high; index += 1) {
      const id = this.#ids[this.#sorted[index] as number] as number;
      kinds += counts[id] === 0 ? 1 : 0;
      counts[id] = (counts[id] as number) + 1;
    }
    const total = high - low + kinds;
    return counts.map((count, id) => (count + kinds * (shorter[id] as number)) / total);
  }

  /** The first place from `low` on whose character `depth` steps back is at least `wanted`. */
  #firstAtLeast(low: number, high: number, depth: number, wanted: number): number {
    while (low < high) {
      const middle = (low + high) >>> 1;
      const before = (this.#sorted[middle] as number) - depth;
      if (before >= 0 && (this.#ids[before] as number) >= wanted) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    return low;
  }
}

/**
 * The positions 0 to n - 1, sorted by the id before them, then the one before that, and so on,
 * `order` ids deep; before the start of the text comes a value below every id. A radix sort from
 * the farthest id to the nearest: it takes order + 1 passes over the text, however repetitive.
 */
function sortByContext(ids: Int32Array, size: number, order: number): Int32Array {
  let sorted = Int32Array.from(ids.keys());
  let target = new Int32Array(ids.length);
  for (let depth = order; depth >= 1; depth -= 1) {
    const starts = new Int32Array(size + 2);
    const bucket = (position: number): number => {
      return position < depth ? 0 : (ids[position - depth] as number) + 1;
    };
    for (let position = 0; position < ids.length; position += 1) {
      const after = bucket(position) + 1;
      starts[after] = (starts[after] as number) + 1;
    }
    for (let index = 1; index < starts.length; index += 1) {
      starts[index] = (starts[index] as number) + (starts[index - 1] as number);
    }
    for (const position of sorted) {
      const own = bucket(position);
      const slot = starts[own] as number;
      target[slot] = position;
      starts[own] = slot + 1;
    }
    [sorted, target] = [target, sorted];
  }
  return sorted;
}

function indexOfLargest(values: Float64Array): number {
  let best = 0;
  for (let index = 1; index < values.length; index += 1) {
    if ((values[index] as number) > (values[best] as number)) {
      best = index;
    }
  }
  return best;
}
