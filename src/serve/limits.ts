/** What one request may ask for; more is refused before anything is computed. */
export interface Limits {
  /** Bytes of a request's body. */
  readonly bodyBytes: number;
  /** Seconds that a body may take to arrive. */
  readonly bodySeconds: number;
  /** Levels of arrays and objects within each other. */
  readonly depth: number;
  /** Messages of a conversation. */
  readonly messages: number;
  /** Tools of a conversation. */
  readonly tools: number;
  /** Answers of a request: `n` times the prompts. */
  readonly choices: number;
  /** Characters of a stop text. */
  readonly stopLength: number;
  /** Entries of `logit_bias`. */
  readonly logitBias: number;
}

export const DEFAULT_LIMITS: Limits = {
  bodyBytes: 4 * 2 ** 20,
  bodySeconds: 30,
  depth: 64,
  messages: 2048,
  tools: 128,
  choices: 16,
  stopLength: 256,
  logitBias: 300,
};

/** As many stop texts and alternatives of a token as OpenAI allows. */
export const MOST_STOPS = 4;
export const MOST_LOGPROBS = 20;
