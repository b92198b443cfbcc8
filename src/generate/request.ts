import { badArgument } from '../base/errors.ts';
import type { Tokenizer } from '../io/tokenizer/types.ts';
import { ChunkQueue } from './chunk-queue.ts';
import type { FinishReason, GenerationRequest, TokenLogprob } from './engine-types.ts';
import { explainChoice, MOST_ALTERNATIVES } from './logprobs.ts';
import { Sampler, type SamplerScratch } from './sampler.ts';
import { TextStream } from './text-stream.ts';

/** What all requests of an engine share. */
export interface RequestSetting {
  readonly tokenizer: Tokenizer;
  /** Longest prompt and continuation together. */
  readonly context: number;
  /** Ids that end a text. */
  readonly ends: ReadonlySet<number>;
  readonly scratch: SamplerScratch;
}

/** A text being written: its tokens, how the next is chosen, and where its pieces go. */
export class RunningRequest {
  readonly promptLength: number;
  readonly chunks: ChunkQueue;
  /** Prompt and text. */
  readonly tokens: number[];
  /** The slot that holds its keys and values, once it has one. */
  slot = -1;
  /** Tokens whose keys and values are in the slot. */
  known = 0;
  readonly #setting: RequestSetting;
  readonly #request: GenerationRequest;
  readonly #sampler: Sampler;
  readonly #stream: TextStream;
  readonly #maxTokens: number;
  readonly #ids: number[] = [];
  readonly #logprobs: TokenLogprob[] = [];
  readonly #abort = () => this.finish('abort');
  #done = false;
  #failed = false;

  /** @throws TypeError or RangeError for what can never be answered, by field name */
  constructor(request: GenerationRequest, setting: RequestSetting) {
    const { maxTokens, logprobs, signal } = request;
    const { tokenizer, context, scratch } = setting;
    if (maxTokens !== undefined && !(Number.isInteger(maxTokens) && maxTokens >= 0)) {
      throw badArgument('generate', 'maxTokens', maxTokens, 'an integer >= 0');
    }
    const told = Number.isInteger(logprobs) && (logprobs as number) >= 0;
    if (logprobs !== undefined && !(told && logprobs <= MOST_ALTERNATIVES)) {
      const expected = `an integer from 0 to ${MOST_ALTERNATIVES}`;
      throw badArgument('generate', 'logprobs', logprobs, expected);
    }
    if (signal !== undefined && !(signal instanceof AbortSignal)) {
      throw badArgument('generate', 'signal', signal, 'an AbortSignal');
    }
    for (const id of request.logitBias?.keys() ?? []) {
      if (id < tokenizer.size) continue;
      const expected = `ids up to ${tokenizer.size - 1} as keys`;
      throw badArgument('generate', 'logitBias', id, expected);
    }
    this.#setting = setting;
    this.#request = request;
    this.#sampler = new Sampler(request, scratch);
    const { prompt } = request;
    this.tokens = [...promptIds(prompt, tokenizer)];
    this.promptLength = this.tokens.length;
    if (this.promptLength >= context) {
      throw new RangeError(
        `generate: prompt is ${this.promptLength} tokens; expected fewer than the context of ` +
          `${context}. Shorten it, or use a model with a longer context.`,
      );
    }
    this.#sampler.see(this.tokens);
    const last = this.tokens[this.promptLength - 1];
    this.#stream = new TextStream(tokenizer, {
      stop: request.stop,
      fresh: tokenizer.isSpecial(last),
      answer:
        request.answer === true && !/\s$/.test(new TextDecoder().decode(tokenizer.bytesOf(last))),
    });
    this.#maxTokens = Math.min(maxTokens ?? Number.POSITIVE_INFINITY, context - this.promptLength);
    this.chunks = new ChunkQueue(this.#abort);
    signal?.addEventListener('abort', this.#abort);
    if (signal?.aborted) this.finish('abort');
    else if (this.#maxTokens === 0) this.finish('length');
  }

  /** Whether its text has ended, for whatever reason. */
  get done(): boolean {
    return this.#done;
  }

  /** Whether it ended by an error. */
  get failed(): boolean {
    return this.#failed;
  }

  /** Gives it a slot, which holds the first `known` tokens of its prompt already. */
  begin(slot: number, known: number): void {
    this.slot = slot;
    this.known = known;
  }

  /** Whether a part of its prompt is not yet in the slot. */
  get prefilling(): boolean {
    return this.known < this.promptLength;
  }

  /** Chooses the next token by the logits [vocabulary] after those so far, which it changes. */
  accept(logits: Float32Array): void {
    const { logprobs } = this.#request;
    const { ends, tokenizer } = this.#setting;
    const raw = logprobs === undefined ? undefined : logits.slice();
    const id = this.#sampler.next(logits);
    if (ends.has(id) && !this.#request.ignoreEos) {
      this.finish('stop');
      return;
    }
    this.tokens.push(id);
    this.#ids.push(id);
    if (raw) {
      const named = (token: number) => namedToken(token, tokenizer);
      this.#logprobs.push(explainChoice(raw, id, logprobs as number, named));
    }
    const text = this.#stream.push(id);
    if (this.#stream.stopped) this.finish('stop', text);
    else if (this.tokens.length - this.promptLength >= this.#maxTokens) this.finish('length', text);
    else if (text !== '') this.chunks.push({ text, ...this.#taken() });
  }

  /** Ends the text with what there is. */
  finish(reason: FinishReason, text = ''): void {
    if (this.#done) return;
    this.#end();
    this.chunks.push({
      text: text + this.#stream.end(),
      ...this.#taken(),
      finish: {
        reason,
        promptTokens: this.promptLength,
        completionTokens: this.tokens.length - this.promptLength,
      },
    });
    this.chunks.end();
  }

  fail(error: unknown): void {
    if (this.#done) return;
    this.#end();
    this.#failed = true;
    this.chunks.fail(error);
  }

  #end(): void {
    this.#done = true;
    this.#request.signal?.removeEventListener('abort', this.#abort);
  }

  /** Ids and log-probabilities since the piece before. */
  #taken() {
    const ids = this.#ids.splice(0);
    if (this.#request.logprobs === undefined) return { ids };
    return { ids, logprobs: this.#logprobs.splice(0) };
  }
}

/** Bytes that are no whole character are U+FFFD in the text. */
function namedToken(id: number, tokenizer: Tokenizer) {
  const bytes = tokenizer.bytesOf(id);
  const special = tokenizer.isSpecial(id) ? tokenizer.tokenOf(id) : undefined;
  return { text: special ?? new TextDecoder().decode(bytes), bytes: [...bytes] };
}

function promptIds(prompt: unknown, tokenizer: Tokenizer): ArrayLike<number> & Iterable<number> {
  const ids =
    typeof prompt === 'string'
      ? tokenizer.encode(prompt, { addSpecial: true })
      : Array.from((prompt ?? []) as ArrayLike<number>);
  if (ids.length === 0) {
    const expected =
      typeof prompt === 'string'
        ? 'a text: the tokenizer has no token that begins one'
        : 'a text or token ids, at least one';
    throw badArgument('generate', 'prompt', prompt, expected);
  }
  for (const [i, id] of ids.entries()) {
    if (Number.isInteger(id) && id >= 0 && id < tokenizer.size) continue;
    const expected = `a token id from 0 to ${tokenizer.size - 1}`;
    throw badArgument('generate', `prompt[${i}]`, id, expected);
  }
  return ids;
}
