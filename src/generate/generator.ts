import { badArgument } from '../base/errors.ts';
import { type Jitted, jit, type Tensor, tensor } from '../tensor/index.ts';
import { AnswerSheet } from './answers.ts';
import { Decoder } from './decoder.ts';
import { Sampler, type SamplerOptions } from './sampler.ts';
import { StopFilter } from './stop.ts';
import { type CausalModel, hasCaches, type Tokenizer } from './types.ts';

export interface GenerateOptions extends SamplerOptions {
  /** Longest continuation, in tokens (default 200). */
  readonly maxTokens?: number | undefined;
  /** Ends the text before the first of these. */
  readonly stop?: string | readonly string[] | undefined;
  /** Ends the text, without an error. */
  readonly signal?: AbortSignal | undefined;
}

export interface AnswerOptions {
  /** The character that ends an answer and is not part of it (default: a line end). */
  readonly stop?: string;
  /** Longest answer, in tokens (default 32), as far as the context has room for it. */
  readonly maxTokens?: number;
  /** Prompts that are answered at the same time (default 16). */
  readonly batch?: number;
  /** Guesses of the answers. They save passes where they are right and never change an answer. */
  readonly drafts?: readonly string[];
  /** Ends the work with an error after the pass in progress. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Writes text with a model. While a text fits into the context, a model with caches of keys and
 * values sees each token once. Beyond that (or without caches) each token takes a pass over a window
 * of the context's length: the known tokens stand at its left, the logits are taken at the last of
 * them, and a longer text is seen by its end. Programs are compiled when they are first needed;
 * `dispose` frees them.
 */
export class TextGenerator {
  readonly #model: CausalModel;
  readonly #tokenizer: Tokenizer;
  readonly #logits: Jitted<[Tensor, Tensor], Tensor>;
  readonly #best: Jitted<[Tensor], Tensor>;
  /** Decoders that no text is using. */
  readonly #idle: Decoder[] = [];
  #disposed = false;

  constructor(model: CausalModel, tokenizer: Tokenizer) {
    const { vocab_size: vocabulary } = model.config;
    if (tokenizer.size > vocabulary) {
      throw badArgument(
        'TextGenerator',
        'tokenizer',
        `${tokenizer.size} ids`,
        `at most the model's vocabulary of ${vocabulary}`,
      );
    }
    this.#model = model;
    this.#tokenizer = tokenizer;
    this.#logits = jit((tokens: Tensor, last: Tensor) =>
      model
        .forward(tokens)
        .reshape([-1, vocabulary])
        .indexSelect(0, last)
        .narrow(1, 0, tokenizer.size),
    );
    this.#best = jit((tokens: Tensor) =>
      model.forward(tokens).narrow(2, 0, tokenizer.size).argmax(2),
    );
  }

  /**
   * Continues a prompt, piece by piece; an empty one continues a line end.
   *
   * @throws RangeError for a character outside the vocabulary
   */
  async *generate(prompt: string, options: GenerateOptions = {}): AsyncGenerator<string, void> {
    const { maxTokens = 200, stop, signal } = options;
    if (!Number.isInteger(maxTokens) || maxTokens < 0) {
      throw badArgument('generate', 'maxTokens', maxTokens, 'an integer >= 0');
    }
    const sampler = new Sampler(options);
    const filter = new StopFilter(stop);
    const tokens = [...this.#tokenizer.encode(prompt === '' ? '\n' : prompt)];
    const decoder = this.#takeDecoder();
    try {
      for (let made = 0; made < maxTokens && !filter.stopped && !signal?.aborted; made++) {
        const logits = await this.#logitsAfter(tokens, decoder, signal).catch((error) => {
          if (signal?.aborted) return undefined;
          throw error;
        });
        if (!logits) break;
        const token = sampler.next(logits);
        tokens.push(token);
        const text = filter.push(this.#tokenizer.decode([token]));
        if (text !== '') yield text;
      }
    } finally {
      if (decoder) this.#giveBack(decoder);
    }
    const rest = filter.end();
    if (rest !== '') yield rest;
  }

  /** The whole continuation of a prompt, without the prompt. */
  async complete(prompt: string, options: GenerateOptions = {}): Promise<string> {
    let text = '';
    for await (const piece of this.generate(prompt, options)) text += piece;
    return text;
  }

  /**
   * The most probable answers to many prompts, each up to a stop character: what `complete` gives
   * at temperature 0, many at a time.
   *
   * @throws TypeError for a prompt that leaves no room in the context for an answer
   */
  async answerAll(prompts: readonly string[], options: AnswerOptions = {}): Promise<string[]> {
    const { stop = '\n', maxTokens = 32, batch = 16, drafts = [], signal } = options;
    const tokenizer = this.#tokenizer;
    const encoded = prompts.map((prompt) => tokenizer.encode(prompt));
    const [end, ...more] = tokenizer.encode(stop);
    if (end === undefined || more.length > 0) {
      throw badArgument('answerAll', 'stop', stop, 'one token');
    }
    for (const [name, value] of Object.entries({ maxTokens, batch })) {
      if (!Number.isInteger(value) || value < 1) {
        throw badArgument('answerAll', name, value, 'an integer >= 1');
      }
    }
    const longest = encoded.reduce((n, prompt) => Math.max(n, prompt.length), 0);
    const window = Math.min(this.#model.config.max_position_embeddings, longest + maxTokens);
    const sheet = new AnswerSheet({
      prompts: encoded,
      drafts: drafts.map((draft) => tokenizer.encode(draft + stop)),
      rows: Math.min(batch, prompts.length),
      window,
      maxTokens,
      stop: end,
    });
    while (!sheet.done) {
      signal?.throwIfAborted();
      const tokens = this.#tensor(sheet.tokens, [sheet.tokens.length / window, window]);
      sheet.update(await read(this.#best(tokens), tokens));
    }
    return sheet.answers.map((answer) => tokenizer.decode(answer));
  }

  /** Frees the compiled programs; the model stays. */
  dispose(): void {
    this.#disposed = true;
    this.#logits.dispose();
    this.#best.dispose();
    for (const decoder of this.#idle.splice(0)) decoder.dispose();
  }

  /** A decoder for one text; several texts at the same time have one each. */
  #takeDecoder(): Decoder | undefined {
    if (!hasCaches(this.#model)) return undefined;
    return this.#idle.pop() ?? new Decoder(this.#model, this.#tokenizer.size);
  }

  #giveBack(decoder: Decoder): void {
    // The next text may come after more training: nothing is remembered.
    decoder.reset();
    if (this.#disposed) decoder.dispose();
    else this.#idle.push(decoder);
  }

  async #logitsAfter(
    tokens: readonly number[],
    decoder: Decoder | undefined,
    signal: AbortSignal | undefined,
  ): Promise<ArrayLike<number>> {
    const { max_position_embeddings: context } = this.#model.config;
    if (decoder && tokens.length <= context) return decoder.logitsAfter(tokens, signal);
    const window = new Int32Array(context);
    const known = tokens.slice(-window.length);
    window.set(known);
    const input = this.#tensor(window, [1, window.length]);
    const last = this.#tensor(Int32Array.of(known.length - 1), [1]);
    return read(this.#logits.with({ signal })(input, last), input, last);
  }

  #tensor(data: Int32Array, shape: readonly number[]): Tensor {
    const [parameter] = this.#model.parameters().values();
    return tensor(data, { shape, ...(parameter && { device: parameter.held.device }) });
  }
}

/** The values of a result; it and the arguments it was computed from are freed. */
async function read(result: Promise<Tensor>, ...used: Tensor[]): Promise<ArrayLike<number>> {
  try {
    const made = await result;
    used.push(made);
    return await made.data();
  } finally {
    for (const t of used) t.dispose();
  }
}

/** Continues a prompt with a program of its own; for more than one text use a TextGenerator. */
export async function* generate(
  model: CausalModel,
  tokenizer: Tokenizer,
  prompt: string,
  options: GenerateOptions = {},
): AsyncGenerator<string, void> {
  const generator = new TextGenerator(model, tokenizer);
  try {
    yield* generator.generate(prompt, options);
  } finally {
    generator.dispose();
  }
}

/** The whole continuation of a prompt; see `generate`. */
export async function complete(
  model: CausalModel,
  tokenizer: Tokenizer,
  prompt: string,
  options: GenerateOptions = {},
): Promise<string> {
  let text = '';
  for await (const piece of generate(model, tokenizer, prompt, options)) text += piece;
  return text;
}
