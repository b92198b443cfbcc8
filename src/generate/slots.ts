/** Fewest tokens that another text would like to go on with. */
const WORTH_KEEPING = 8;

interface Slot {
  readonly number: number;
  /** The tokens whose keys and values it holds. */
  tokens: readonly number[];
  busy: boolean;
  /** When it was last freed. */
  since: number;
}

/**
 * Who has which slot of the caches. A free slot remembers the tokens it holds: a text that begins
 * with them (the next turn of a chat) computes the rest only.
 */
export class Slots {
  readonly #slots: readonly Slot[];
  #clock = 0;

  constructor(count: number) {
    this.#slots = Array.from({ length: count }, (_, number) => ({
      number,
      tokens: [],
      busy: false,
      since: 0,
    }));
  }

  get free(): number {
    return this.#slots.filter((slot) => !slot.busy).length;
  }

  /**
   * Takes a free slot for a prompt: the one that holds most of its beginning, else one that holds
   * next to nothing (many short texts, such as probes, share one so), else the one that has been free
   * for the longest time.
   *
   * @returns its number and how many of the prompt's tokens it holds, never the last one, whose
   *   logits are wanted; undefined where all slots are busy
   */
  take(prompt: readonly number[]): { slot: number; known: number } | undefined {
    let best: { slot: Slot; known: number } | undefined;
    for (const slot of this.#slots) {
      if (slot.busy) continue;
      const shared = Math.min(sharedPrefix(slot.tokens, prompt), prompt.length - 1);
      const known = shared < WORTH_KEEPING && shared < slot.tokens.length ? 0 : shared;
      if (!best || known > best.known || (known === best.known && goesBefore(slot, best.slot))) {
        best = { slot, known };
      }
    }
    if (!best) return undefined;
    best.slot.busy = true;
    best.slot.tokens = [];
    return { slot: best.slot.number, known: best.known };
  }

  /** Gives a slot back with what it holds now. */
  release(slot: number, tokens: readonly number[]): void {
    Object.assign(this.#slots[slot], { tokens, busy: false, since: ++this.#clock });
  }

  /** Forgets what free slots hold. */
  forget(): void {
    for (const slot of this.#slots) slot.tokens = [];
  }
}

/** Whether it is less of a loss to take the first one. */
function goesBefore(a: Slot, b: Slot): boolean {
  const [worthA, worthB] = [a, b].map(({ tokens }) => tokens.length >= WORTH_KEEPING);
  return worthA === worthB ? a.since < b.since : !worthA;
}

function sharedPrefix(a: readonly number[], b: readonly number[]): number {
  const length = Math.min(a.length, b.length);
  let shared = 0;
  while (shared < length && a[shared] === b[shared]) shared++;
  return shared;
}
