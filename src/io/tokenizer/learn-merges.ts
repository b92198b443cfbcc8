/** What BPE learns from; `letters` are what words are made of at first. */
export interface MergeTask {
  /** How often each word occurs. */
  readonly words: ReadonlyMap<string, number>;
  readonly letters: readonly string[];
  /** The id of the first letter; learnt tokens follow the last. */
  readonly firstId: number;
  /** Where to stop: one more than the last id. */
  readonly size: number;
  readonly minFrequency: number;
}

/** Tokens from `firstId` on, and the pairs that were joined, in order. */
export interface LearntMerges {
  readonly tokens: readonly string[];
  readonly merges: readonly (readonly [string, string])[];
}

/** A word as the ids of its tokens, and how often it occurs. */
interface Word {
  ids: number[];
  readonly count: number;
}

/** A pair of neighbours: how often it occurs, and in which words it was seen. */
interface Pair {
  readonly left: number;
  readonly right: number;
  count: number;
  /** The highest count that the heap has for it. */
  queued: number;
  readonly words: Set<number>;
}

/** Ids stay below this, so that a pair of them is one exact number. */
const ID_LIMIT = 2 ** 26;

/** Joins the most frequent pair until there are enough tokens. Only words that change are counted. */
export function learnMerges(task: MergeTask): LearntMerges {
  const { firstId, size, minFrequency } = task;
  const tokens = [...task.letters];
  const ids = new Map(tokens.map((token, index) => [token, firstId + index]));
  const words: Word[] = [...task.words].map(([word, count]) => ({
    ids: Array.from(word, (letter) => ids.get(letter) as number),
    count,
  }));
  const pairs = new PairCounts();
  words.forEach((word, index) => {
    pairs.count(word, index, 1);
  });
  pairs.queueRisen();

  const merges: [string, string][] = [];
  while (firstId + tokens.length < size) {
    const best = pairs.takeMostFrequent();
    if (best === undefined || best.count < minFrequency) break;
    const left = tokens[best.left - firstId];
    const right = tokens[best.right - firstId];
    const joined = left + right;
    const id = ids.get(joined) ?? firstId + tokens.length;
    if (!ids.has(joined)) {
      ids.set(joined, id);
      tokens.push(joined);
    }
    merges.push([left, right]);
    for (const index of best.words) {
      const word = words[index];
      const changed = joinPairs(word.ids, best.left, best.right, id);
      if (changed.length === word.ids.length) continue;
      pairs.count(word, index, -1);
      word.ids = changed;
      pairs.count(word, index, 1);
    }
    pairs.forget(best);
    pairs.queueRisen();
  }
  return { tokens, merges };
}

function joinPairs(ids: readonly number[], left: number, right: number, joined: number): number[] {
  const result: number[] = [];
  for (let at = 0; at < ids.length; at += 1) {
    if (ids[at] === left && ids[at + 1] === right) {
      result.push(joined);
      at += 1;
    } else {
      result.push(ids[at]);
    }
  }
  return result;
}

/** The pairs of all words, and a heap that knows the most frequent one. */
class PairCounts {
  readonly #pairs = new Map<number, Pair>();
  readonly #risen = new Set<Pair>();
  /** The count that a pair was queued with; it may have fallen since. */
  readonly #heap: { readonly pair: Pair; readonly count: number }[] = [];

  /** Adds a word's pairs, or takes them away. */
  count(word: Word, index: number, sign: 1 | -1): void {
    for (let at = 0; at + 1 < word.ids.length; at += 1) {
      const left = word.ids[at];
      const right = word.ids[at + 1];
      const key = left * ID_LIMIT + right;
      let pair = this.#pairs.get(key);
      if (pair === undefined) {
        pair = { left, right, count: 0, queued: 0, words: new Set() };
        this.#pairs.set(key, pair);
      }
      pair.count += sign * word.count;
      if (sign === 1) {
        pair.words.add(index);
        if (pair.count > pair.queued) this.#risen.add(pair);
      }
    }
  }

  /** Takes up the pairs that came or rose since the last time; what fell is seen when it is taken. */
  queueRisen(): void {
    for (const pair of this.#risen) {
      if (pair.count > pair.queued) this.#push(pair);
    }
    this.#risen.clear();
  }

  takeMostFrequent(): Pair | undefined {
    for (;;) {
      const top = this.#pop();
      if (top === undefined || top.count === top.pair.count) return top?.pair;
      if (top.pair.count > 0) this.#push(top.pair);
    }
  }

  forget(pair: Pair): void {
    pair.count = 0;
    this.#pairs.delete(pair.left * ID_LIMIT + pair.right);
  }

  #before(a: number, b: number): boolean {
    const first = this.#heap[a];
    const second = this.#heap[b];
    if (first.count !== second.count) return first.count > second.count;
    if (first.pair.left !== second.pair.left) return first.pair.left < second.pair.left;
    return first.pair.right < second.pair.right;
  }

  #push(pair: Pair): void {
    pair.queued = pair.count;
    let at = this.#heap.push({ pair, count: pair.count }) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#before(at, parent)) break;
      this.#swap(at, parent);
      at = parent;
    }
  }

  #pop(): { readonly pair: Pair; readonly count: number } | undefined {
    if (this.#heap.length === 0) return undefined;
    this.#swap(0, this.#heap.length - 1);
    const top = this.#heap.pop();
    for (let at = 0; ; ) {
      let best = at;
      for (const child of [2 * at + 1, 2 * at + 2]) {
        if (child < this.#heap.length && this.#before(child, best)) best = child;
      }
      if (best === at) return top;
      this.#swap(at, best);
      at = best;
    }
  }

  #swap(a: number, b: number): void {
    const kept = this.#heap[a];
    this.#heap[a] = this.#heap[b];
    this.#heap[b] = kept;
  }
}
