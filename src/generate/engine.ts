import { badArgument } from '../base/errors.ts';
import { nextTurn } from '../base/yield.ts';
import type { GenerationDefaults, Pretrained } from '../models/types.ts';
import type { GenerationChunk, GenerationRequest, TextEngine } from './engine-types.ts';
import { type RequestSetting, RunningRequest } from './request.ts';
import { cacheShape, ModelRunner, type Piece } from './runner.ts';
import { SamplerScratch } from './sampler.ts';
import { Slots } from './slots.ts';

export interface EngineOptions {
  /** Texts that are written at the same time (default: up to 8, as half a gigabyte has room for). */
  readonly slots?: number | undefined;
  /** Longest prompt and continuation together (default: the model's longest sequence). */
  readonly context?: number | undefined;
  /** Requests that may wait for a slot (default 64). */
  readonly maxWaiting?: number | undefined;
}

/** More requests wait than the engine was made for: try again later. */
export class QueueFullError extends Error {
  override readonly name = 'QueueFullError';
}

/** The engine takes no requests any more. */
export class EngineClosedError extends Error {
  override readonly name = 'EngineClosedError';
}

const CACHE_BYTES = 2 ** 29;
const MOST_SLOTS = 8;
/** Tokens of a prompt that are put in between two tokens of texts that are being written. */
const SHARED_PIECE = 32;

/**
 * An engine that answers many requests at the same time with one model (continuous batching, Yu et
 * al. 2022): see the README of this room. The model stays the caller's and runs in the mode that it is
 * in (`model.eval()` turns dropout off); sampling that a request leaves open is by `generation`.
 *
 * @throws TypeError for a model without caches or tokenizer, by name
 */
export function createEngine(pretrained: Pretrained, options: EngineOptions = {}): TextEngine {
  return new Engine(pretrained, options);
}

class Engine implements TextEngine {
  readonly context: number;
  readonly capacity: number;
  readonly #runner: ModelRunner;
  readonly #setting: RequestSetting;
  readonly #generation: GenerationDefaults;
  readonly #vocabulary: number;
  readonly #maxWaiting: number;
  readonly #slots: Slots;
  readonly #waiting: RunningRequest[] = [];
  #running: RunningRequest[] = [];
  #turning: Promise<void> | undefined;
  #closed: Promise<void> | undefined;

  constructor({ model, tokenizer, generation }: Pretrained, options: EngineOptions) {
    const { vocab_size: vocabulary, max_position_embeddings: longest } = model.config;
    if (!tokenizer) {
      throw badArgument('createEngine', 'tokenizer', tokenizer, "the model's tokenizer");
    }
    if (tokenizer.size > vocabulary) {
      const expected = `at most the model's vocabulary of ${vocabulary}`;
      throw badArgument('createEngine', 'tokenizer', `${tokenizer.size} ids`, expected);
    }
    const { context = longest, maxWaiting = 64 } = options;
    if (!Number.isInteger(context) || context < 2 || context > longest) {
      throw badArgument('createEngine', 'context', context, `an integer from 2 to ${longest}`);
    }
    const slots = options.slots ?? slotsWithRoom(model, context);
    if (!Number.isInteger(slots) || slots < 1) {
      throw badArgument('createEngine', 'slots', slots, 'an integer >= 1');
    }
    if (!Number.isInteger(maxWaiting) || maxWaiting < 0) {
      throw badArgument('createEngine', 'maxWaiting', maxWaiting, 'an integer >= 0');
    }
    this.context = context;
    this.capacity = slots + maxWaiting;
    this.#generation = generation;
    this.#maxWaiting = maxWaiting;
    this.#vocabulary = tokenizer.size;
    this.#setting = {
      tokenizer,
      context,
      ends: new Set([...tokenizer.eosIds, ...(generation.eosIds ?? [])]),
      scratch: new SamplerScratch(tokenizer.size),
    };
    this.#slots = new Slots(slots);
    this.#runner = new ModelRunner(model, { slots, context, vocabulary: tokenizer.size });
  }

  generate(request: GenerationRequest): AsyncIterable<GenerationChunk> {
    if (this.#closed) throw new EngineClosedError('generate: the engine is closed');
    const { temperature, topK, topP, minP, repetitionPenalty, maxTokens } = this.#generation;
    const defaults = { temperature, topK, topP, minP, repetitionPenalty, maxTokens };
    const given = Object.entries(request).filter(([, value]) => value !== undefined);
    const running = new RunningRequest(
      { ...defaults, ...(Object.fromEntries(given) as unknown as GenerationRequest) },
      this.#setting,
    );
    if (running.done) return running.chunks;
    this.#dropDone();
    if (this.#waiting.length >= this.#maxWaiting + this.#slots.free) {
      running.finish('abort');
      throw new QueueFullError(
        `generate: ${this.#waiting.length} requests wait already, and ${this.#running.length} ` +
          'run; try again later, or make the engine with a larger maxWaiting or more slots',
      );
    }
    this.#waiting.push(running);
    this.#turning ??= this.#turn();
    return running.chunks;
  }

  async prepare(): Promise<void> {
    for (const program of this.#runner.programs()) {
      await nextTurn();
      while (this.#turning) await this.#turning;
      if (this.#closed) throw new EngineClosedError('prepare: the engine is closed');
      // Where nothing runs all slots are free.
      const { slot } = this.#slots.take([0]) as { slot: number };
      const prepared = program(slot).finally(() => {
        this.#slots.release(slot, []);
        this.#turning = this.#waiting.length > 0 ? this.#turn() : undefined;
      });
      this.#turning = prepared.then(
        () => undefined,
        () => undefined,
      );
      await prepared;
    }
  }

  stats() {
    this.#dropDone();
    return { running: this.#running.length, waiting: this.#waiting.length };
  }

  close(): Promise<void> {
    this.#closed ??= (async () => {
      while (this.#turning) await this.#turning;
      this.#runner.dispose();
    })();
    return this.#closed;
  }

  /** Requests that were cancelled while they waited leave at once. */
  #dropDone(): void {
    for (let i = this.#waiting.length - 1; i >= 0; i--) {
      if (this.#waiting[i].done) this.#waiting.splice(i, 1);
    }
  }

  /** Turns until nothing is left to do. Each puts in a piece of a prompt and a token of each text. */
  async #turn(): Promise<void> {
    // What was asked for in the same moment begins together.
    await undefined;
    try {
      for (this.#admit(); this.#running.length > 0; this.#admit()) {
        await this.#prefill();
        await this.#decode();
        await this.#leave();
      }
    } catch (error) {
      // The device may be of no use any more, or for a moment only: what comes later finds free slots.
      for (const request of this.#running) this.#slots.release(request.slot, []);
      for (const request of [...this.#running.splice(0), ...this.#waiting.splice(0)]) {
        request.fail(error);
      }
    }
    this.#turning = undefined;
  }

  /** First come, first served. */
  #admit(): void {
    this.#dropDone();
    if (this.#running.length === 0 && this.#runner.weightsChanged()) this.#slots.forget();
    while (this.#waiting.length > 0) {
      const taken = this.#slots.take(this.#waiting[0].tokens);
      if (!taken) return;
      const request = this.#waiting.shift() as RunningRequest;
      request.begin(taken.slot, taken.known);
      this.#running.push(request);
    }
  }

  /** A piece of the first prompt that is not yet in; or several, where they are small. */
  async #prefill(): Promise<void> {
    const shared = this.#running.some((r) => !r.prefilling && !r.done);
    const most = shared ? SHARED_PIECE : undefined;
    for (let room = SHARED_PIECE; room > 0; ) {
      const request = this.#running.find((r) => r.prefilling && !r.done);
      if (!request) return;
      const piece = this.#runner.piece(request.known, request.promptLength, most);
      if (piece.size > room && room < SHARED_PIECE) return;
      await this.#fill(request, piece);
      room -= piece.size;
    }
  }

  async #fill(request: RunningRequest, piece: Piece): Promise<void> {
    const { slot, tokens } = request;
    await this.#guard([request], async () => {
      const logits = await this.#runner.fill(slot, tokens, piece);
      if (Number.isNaN(logits[0])) throw notFinite(tokens.slice(piece.start, piece.end));
      request.known = piece.end;
      if (!request.prefilling && !request.done) request.accept(logits);
    });
  }

  /** The next token of each text whose prompt is in. */
  async #decode(): Promise<void> {
    const requests = this.#running.filter((r) => !r.prefilling && !r.done);
    if (requests.length === 0) return;
    await this.#guard(requests, async () => {
      const rows = requests.map(({ slot, known, tokens }) => ({
        slot,
        position: known,
        token: tokens[known],
      }));
      const logits = await this.#runner.decode(rows);
      requests.forEach((request, i) => {
        request.known++;
        if (request.done) return;
        const own = logits.subarray(i * this.#vocabulary, (i + 1) * this.#vocabulary);
        try {
          request.accept(own);
        } catch (error) {
          request.fail(error);
        }
      });
    });
  }

  /** A step that fails ends the requests it was for, and no others. */
  async #guard(requests: readonly RunningRequest[], step: () => Promise<void>): Promise<void> {
    try {
      await step();
    } catch (error) {
      for (const request of requests) request.fail(error);
    }
  }

  /** Those that are done give their slots back, with what these know. */
  async #leave(): Promise<void> {
    for (const { done, failed, slot, tokens, known } of this.#running) {
      if (!done) continue;
      // NaN that a failed text has left would go into others through the weight 0 of a mask.
      if (failed) await this.#runner.clear(slot);
      this.#slots.release(slot, failed ? [] : tokens.slice(0, known));
    }
    this.#running = this.#running.filter((request) => !request.done);
  }
}

function notFinite(tokens: readonly number[]): Error {
  return new RangeError(
    `the logits after the prompt's tokens [${tokens.slice(0, 8).join(', ')}, ...] are NaN; ` +
      "expected numbers. The model's weights hold NaN, or numbers too large.",
  );
}

/** Slots for which the caches stay below half a gigabyte. */
function slotsWithRoom(model: Pretrained['model'], context: number): number {
  const { layers } = cacheShape(model);
  const numbers = layers.reduce((sum, { heads, size }) => sum + 2 * heads * size * context, 0);
  return Math.max(1, Math.min(MOST_SLOTS, Math.floor(CACHE_BYTES / (4 * numbers))));
}
