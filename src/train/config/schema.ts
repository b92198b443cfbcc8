import { z } from 'zod';
import { PRECISIONS } from '../../tensor/index.ts';

/** A value that a test accepts; `expected` is what an error says it should have been. */
function leaf<T>(expected: string, accepts: (value: unknown) => boolean) {
  return z.custom<T>(accepts, { error: expected });
}

const text = leaf<string>('a text', (v) => typeof v === 'string' && v !== '');
const flag = leaf<boolean>('true or false', (v) => typeof v === 'boolean');
const count = leaf<number>('an integer >= 1', (v) => Number.isInteger(v) && Number(v) >= 1);
const positive = leaf<number>('a number > 0', (v) => isNumber(v) && v > 0);
const notNegative = leaf<number>('a number >= 0', (v) => isNumber(v) && v >= 0);
const share = leaf<number>('a number from 0 to 0.9', (v) => isNumber(v) && v >= 0 && v <= 0.9);
const seed = leaf<number>(
  'an integer from 0 to 4294967295',
  (v) => Number.isInteger(v) && Number(v) >= 0 && Number(v) < 2 ** 32,
);
const texts = leaf<string[]>(
  'a list of texts',
  (v) => Array.isArray(v) && v.length > 0 && v.every((item) => typeof item === 'string'),
);

function oneOf<const T extends string>(...names: T[]) {
  return leaf<T>(`one of ${names.join(', ')}`, (v) => names.includes(v as T));
}

function isNumber(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value);
}

/** A name with options of its own; what it is made into checks them. */
const named = z.looseObject({ name: text.optional(), lr: positive.optional() });

const model = z.strictObject({
  /** A HuggingFace directory whose model is trained further. */
  from: text.optional(),
  arch: oneOf('llama', 'gpt2').optional(),
  /** One number for everything: see `dial`. */
  depth: count.optional(),
  layers: count.optional(),
  width: count.optional(),
  heads: count.optional(),
  /** Heads of keys and values, shared by query heads. */
  kvHeads: count.optional(),
  /** Width within the MLPs. */
  ff: count.optional(),
  /** Longest sequence, in tokens. */
  context: count.optional(),
});

const tokenizer = z.strictObject({
  kind: oneOf('characters', 'bpe', 'from').optional(),
  /** Tokens of a bpe tokenizer. */
  vocabSize: count.optional(),
  /** A directory with a tokenizer.json. */
  from: text.optional(),
});

const data = z.strictObject({
  /** A file or a folder, or several. */
  path: z.union([text, texts], { error: 'a path or a list of paths' }).optional(),
  /** Default auto: by the names and the first record. */
  format: oneOf('auto', 'text', 'jsonl', 'completion', 'chat', 'tokens').optional(),
  /** Fields of a JSONL line: a text; a prompt and what is said to it; a conversation. */
  field: text.optional(),
  promptField: text.optional(),
  completionField: text.optional(),
  messagesField: text.optional(),
  /** Parts a raw text into documents. */
  separator: text.optional(),
  /** A share of the data, or files of its own. */
  validation: z
    .union([share, text, texts], { error: 'a share from 0 to 0.9, or paths' })
    .optional(),
  /** Leaves out lines that cannot be read. */
  skipBad: flag.optional(),
  rows: oneOf('packed', 'padded').optional(),
});

const train = z.strictObject({
  steps: count.optional(),
  seconds: positive.optional(),
  epochs: positive.optional(),
  /** Rows of a micro-batch. */
  batch: count.optional(),
  /** Tokens of a row. */
  sequence: count.optional(),
  /** Micro-batches of a step. */
  accumulate: count.optional(),
  seed: seed.optional(),
  /** Null: gradients are not clipped. */
  clipNorm: z.union([positive, z.null()], { error: 'a number > 0, or null' }).optional(),
  /** Steps between measurements on the validation data. */
  evalEvery: count.optional(),
  /** Batches of a measurement. */
  evalBatches: count.optional(),
  /** What products are computed in; weights and the optimiser's state are f32. */
  precision: oneOf(...PRECISIONS).optional(),
  gradientCheckpointing: flag.optional(),
  /** MiB that arrays may take. */
  memory: positive.optional(),
});

const lora = z.strictObject({
  r: count.optional(),
  alpha: positive.optional(),
  targets: texts.optional(),
  rslora: flag.optional(),
  /** Adds the adapter to the weights at the end, beside saving it (default true). */
  merge: flag.optional(),
});

const checkpoints = z.strictObject({
  /** Steps between them. */
  every: count.optional(),
  minutes: positive.optional(),
  keep: count.optional(),
});

const logs = z.strictObject({ tensorboard: flag.optional(), svg: flag.optional() });

/** A run as it is written down: every key may be left out. */
export const RUN = z.strictObject({
  model: model.optional(),
  tokenizer: tokenizer.optional(),
  data: data.optional(),
  train: train.optional(),
  optimizer: named.optional(),
  schedule: named.extend({ warmup: notNegative.optional() }).optional(),
  lora: lora.optional(),
  checkpoints: checkpoints.optional(),
  logs: logs.optional(),
  /** The run's folder. */
  out: text.optional(),
});

/** What a user has said about a run. */
export type RunSettings = z.infer<typeof RUN>;
