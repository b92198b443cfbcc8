/** What the demonstration trains. */
export interface DemoSetting {
  readonly layers: number;
  readonly width: number;
  readonly heads: number;
  /** Tokens that the model sees at once. */
  readonly context: number;
  /** Tokens of a training row, which holds one conversation. */
  readonly sequence: number;
  /** Rows of a step. */
  readonly batch: number;
  readonly lr: number;
  readonly minutes: number;
  readonly characters: number;
  readonly vocabulary: number;
  readonly questions: number;
}

export const FULL: DemoSetting = {
  layers: 3,
  width: 64,
  heads: 2,
  context: 128,
  sequence: 64,
  batch: 32,
  lr: 5e-3,
  minutes: 3,
  characters: 1_000_000,
  vocabulary: 512,
  questions: Number.POSITIVE_INFINITY,
};

/** Shows within seconds that everything works; the answers are not worth reading. */
export const QUICK: DemoSetting = {
  ...FULL,
  layers: 2,
  width: 32,
  minutes: 0.05,
  characters: 50_000,
  questions: 16,
};
