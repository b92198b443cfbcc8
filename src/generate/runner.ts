import type { CausalLM } from '../models/types.ts';
import { SlotCache } from '../nn/index.ts';
import { type Device, type Jitted, jit, type Tensor, tensor } from '../tensor/index.ts';

/**
 * Tokens of a sequence that one step takes, largest first: few sizes, so few programs. A step is
 * worth while from `least` tokens on: weights are read once for all of its rows, but from some tens
 * on each row costs arithmetic.
 */
const PIECES = [
  { size: 128, least: 65 },
  { size: 32, least: 13 },
  { size: 8, least: 2 },
  { size: 1, least: 1 },
] as const;
/** The same where nothing else can happen while a step runs. */
const MAIN_THREAD_PIECE = 32;
/** What a row of the plan says before its tokens: slot, position of the first, row of the last. */
const HEADER = 3;

/** A token that continues a sequence. */
export interface DecodeRow {
  readonly slot: number;
  readonly position: number;
  readonly token: number;
}

/** Tokens of a sequence that are put in together. */
export interface Piece {
  /** Position of the first. */
  readonly start: number;
  /** Positions that the step computes. */
  readonly size: number;
  /** Position behind the last token; what is computed beyond it is never seen. */
  readonly end: number;
}

export interface RunnerOptions {
  readonly slots: number;
  readonly context: number;
  /** Ids whose logits are wanted. */
  readonly vocabulary: number;
}

/**
 * Runs a model over sequences in slots: pieces of one sequence, or one token of several. Logits are
 * those of a sequence's last token; their bits depend on that sequence's tokens alone.
 */
export class ModelRunner {
  readonly #model: CausalLM;
  readonly #device: Device;
  readonly #cache: SlotCache;
  readonly #context: number;
  readonly #slots: number;
  /** Most tokens of a piece. */
  readonly #largest: number;
  readonly #step: Jitted<[Tensor, number], Tensor>;
  readonly #clear: Jitted<[Tensor], void>;
  /** The weights that the caches were computed with. */
  #weights: readonly unknown[];

  constructor(model: CausalLM, { slots, context, vocabulary }: RunnerOptions) {
    this.#model = model;
    this.#context = context;
    this.#slots = slots;
    const { device, layers } = cacheShape(model);
    this.#device = device;
    this.#largest = device.runsAside ? PIECES[0].size : MAIN_THREAD_PIECE;
    this.#cache = new SlotCache({ layers, slots, capacity: context, device });
    this.#weights = this.#heldWeights();
    this.#step = jit((plan: Tensor, time: number) => {
      const column = (i: number) => plan.narrow(1, i, 1).reshape([-1]);
      const state = this.#cache.state(column(0), column(1), time);
      const hidden = model.hidden(plan.narrow(1, HEADER, time), state);
      const [rows, , size] = hidden.shape as readonly number[];
      const last =
        time === 1
          ? hidden.reshape([rows, size])
          : hidden.reshape([time, size]).embedding(
              column(2)
                .maximum(0)
                .minimum(time - 1),
            );
      return model.head(last).narrow(1, 0, vocabulary);
    });
    this.#clear = jit((slots: Tensor) => this.#cache.clear(slots));
  }

  /**
   * The piece that comes next where tokens up to `known` are in and those up to `end` are wanted.
   *
   * @param most tokens that it may have
   */
  piece(known: number, end: number, most = Number.POSITIVE_INFINITY): Piece {
    const room = Math.min(this.#context, this.#largest, most);
    const { size } = PIECES.find((p) => p.least <= end - known && p.size <= room) ?? PIECES[3];
    // The last one may begin inside the one before, which puts the same in again.
    const start = Math.min(known, this.#context - size);
    return { start, size, end: Math.min(end, start + size) };
  }

  /** Each runs a program once with a sequence that nobody sees: the slot holds nothing afterwards. */
  *programs(): Generator<(slot: number) => Promise<unknown>, void> {
    for (const { size } of PIECES) {
      if (size > Math.min(this.#context, this.#largest)) continue;
      const piece = { start: 0, size, end: size };
      yield (slot) => this.fill(slot, new Array<number>(size).fill(0), piece);
    }
    for (let count = 2; count < 2 * this.#slots; count *= 2) {
      const rows = Math.min(count, this.#slots);
      yield (slot) => this.decode(new Array<DecodeRow>(rows).fill({ slot, position: 0, token: 0 }));
    }
  }

  /** Puts in a piece of a sequence and gives the logits after it, [vocabulary]. */
  async fill(slot: number, tokens: readonly number[], piece: Piece): Promise<Float32Array> {
    const { start, size, end } = piece;
    const plan = new Int32Array(HEADER + size);
    plan.set([slot, start, end - 1 - start]);
    for (let at = start; at < end; at++) plan[HEADER + at - start] = tokens[at];
    return this.#run(plan, 1, size);
  }

  /** Puts in one token each of several sequences; gives logits [rows, vocabulary], as many or more. */
  async decode(rows: readonly DecodeRow[]): Promise<Float32Array> {
    // Few sizes, so few programs: rows that are too many do what the first does once more.
    let count = 1;
    while (count < rows.length) count *= 2;
    count = Math.min(count, this.#slots);
    const plan = new Int32Array(count * (HEADER + 1));
    for (let i = 0; i < count; i++) {
      const { slot, position, token } = rows[i < rows.length ? i : 0];
      plan.set([slot, position, 0, token], i * (HEADER + 1));
    }
    return this.#run(plan, count, 1);
  }

  async #run(plan: Int32Array, rows: number, time: number): Promise<Float32Array> {
    const input = tensor(plan, { shape: [rows, HEADER + time], device: this.#device });
    try {
      const logits = await this.#step(input, time);
      try {
        return (await logits.data()) as Float32Array;
      } finally {
        logits.dispose();
      }
    } finally {
      input.dispose();
    }
  }

  /** Empties a slot. */
  async clear(slot: number): Promise<void> {
    const slots = tensor(Int32Array.of(slot), { device: this.#device });
    try {
      await this.#clear(slots);
    } finally {
      slots.dispose();
    }
  }

  /** Whether weights were changed since the last call: the caches are then of another model. */
  weightsChanged(): boolean {
    const held = this.#heldWeights();
    const changed =
      held.length !== this.#weights.length || held.some((w, i) => w !== this.#weights[i]);
    this.#weights = held;
    return changed;
  }

  #heldWeights(): readonly unknown[] {
    return [...this.#model.state().values()].map((cell) => cell.held);
  }

  /** Frees caches and programs; the model stays. */
  dispose(): void {
    this.#step.dispose();
    this.#clear.dispose();
    this.#cache.dispose();
  }
}

/** What a model's caches are like, from the smallest ones it makes. */
export function cacheShape(model: CausalLM) {
  const caches = model.newCaches(1, 1);
  const [first] = caches;
  if (!first) throw new TypeError(`a model of type ${model.type} has no caches of keys and values`);
  const { device } = first.keys.held;
  const layers = caches.map(({ keys }) => {
    const [, heads, , size] = keys.shape as readonly number[];
    return { heads, size };
  });
  for (const cache of caches) cache.dispose();
  return { device, layers };
}
