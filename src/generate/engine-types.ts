/** How tokens are drawn; names and meanings as in transformers, vLLM and OpenAI. */
export interface SamplingOptions {
  /** Divides the logits (default 1); 0 always takes the most probable token. */
  readonly temperature?: number | undefined;
  /** Draws from the k most probable tokens only (default: all). */
  readonly topK?: number | undefined;
  /** Draws from the fewest tokens whose probabilities reach this sum (default 1). */
  readonly topP?: number | undefined;
  /** Leaves out tokens less probable than this share of the most probable one (default 0). */
  readonly minP?: number | undefined;
  /** Divides positive logits of tokens seen in prompt and text, multiplies negative ones (1). */
  readonly repetitionPenalty?: number | undefined;
  /** Subtracted from logits of tokens that the text holds (default 0; OpenAI). */
  readonly presencePenalty?: number | undefined;
  /** Subtracted once for each time that the text holds the token (default 0; OpenAI). */
  readonly frequencyPenalty?: number | undefined;
  /** Added to logits, by id. */
  readonly logitBias?: ReadonlyMap<number, number> | undefined;
  /** Same seed, same text, whatever else is running (default: a new one each time). */
  readonly seed?: number | undefined;
}

export interface GenerationRequest extends SamplingOptions {
  /** Text (special tokens unmatched, bos added where the tokenizer has one) or ids. */
  readonly prompt: string | ArrayLike<number>;
  /** Longest continuation (default: what the context leaves). */
  readonly maxTokens?: number | undefined;
  /** Ends the text before the first of these, also where it spans tokens. */
  readonly stop?: string | readonly string[] | undefined;
  /** Goes on after tokens that end a text (default false). */
  readonly ignoreEos?: boolean | undefined;
  /**
   * The text is an answer in a conversation (default false): a single space before its first word is
   * left out, unless the prompt ends in white space. Many templates write that space themselves.
   */
  readonly answer?: boolean | undefined;
  /** Reports log-probabilities, with as many of the most probable tokens (0 to 20). */
  readonly logprobs?: number | undefined;
  /** Ends the text with what there is, reason "abort". */
  readonly signal?: AbortSignal | undefined;
}

/** A token with its log-probability before temperature and filters. */
export interface TokenLogprob {
  readonly id: number;
  readonly text: string;
  readonly bytes: readonly number[];
  readonly logprob: number;
  /** The most probable tokens, best first. */
  readonly top: readonly Omit<TokenLogprob, 'top'>[];
}

/** stop: an end token or a stop text; length: maxTokens or the context; abort: the signal. */
export type FinishReason = 'stop' | 'length' | 'abort';

/** A piece of a text. The pieces' texts joined are the answer; none splits a character. */
export interface GenerationChunk {
  readonly text: string;
  /** Tokens since the piece before; they may be ahead of the text. */
  readonly ids: readonly number[];
  readonly logprobs?: readonly TokenLogprob[];
  /** In the last piece only. */
  readonly finish?: {
    readonly reason: FinishReason;
    readonly promptTokens: number;
    readonly completionTokens: number;
  };
}

/** Answers many requests at the same time; the server's view of a model. */
export interface TextEngine {
  /** Longest prompt and continuation together. */
  readonly context: number;
  /** Most requests that run and wait together. */
  readonly capacity: number;
  /**
   * Begins at once, and runs as its pieces are taken or not. Returning from the loop cancels it.
   *
   * @throws TypeError or RangeError at the call for what can never be answered, by field name
   */
  generate(request: GenerationRequest): AsyncIterable<GenerationChunk>;
  /**
   * Does beforehand what the first requests would wait for: compiles programs, takes memory. A request
   * that comes meanwhile waits for one program at most, and the rest for it.
   */
  prepare?(): Promise<void>;
  stats(): { readonly running: number; readonly waiting: number };
  /** Waits for what runs, refuses what comes. */
  close(): Promise<void>;
}
