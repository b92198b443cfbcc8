import { resolve } from 'node:path';
import { BatchSampler, type BatchSource, CharacterTokenizer } from '../../data/index.ts';
import { readTextFile } from '../../data/text-file.ts';
import type { Llama } from '../../models/index.ts';
import { random } from '../../tensor/index.ts';
import type { RunConfig } from '../config/resolve.ts';
import { makeModel } from '../new-model.ts';

/** What a run trains on what. */
export interface Prepared {
  readonly model: Llama;
  readonly tokenizer: CharacterTokenizer;
  readonly sequence: number;
  readonly source: BatchSource;
  readonly validation: (() => BatchSource) | undefined;
  /** Whether the batches have weights. */
  readonly weighted: boolean;
  /** Batches in which each token comes once. */
  readonly batchesPerEpoch: number;
  readonly about: { readonly files: readonly string[]; readonly tokens: number };
}

/** Reads the data and makes or loads the model; nothing is computed yet. */
export async function prepare(config: RunConfig): Promise<Prepared> {
  const files = config.data.path.map((path) => resolve(path));
  const text = (await Promise.all(files.map((file) => readTextFile(file)))).join('\n');
  const tokenizer = CharacterTokenizer.fromText(text);
  if (!('arch' in config.model)) throw new Error('not yet');
  const { batch, seed } = config.train;
  const sequence = config.train.sequence as number;
  random.seed(seed);
  const { width: dim, ...sizes } = config.model;
  const model = makeModel(tokenizer.size, { dim, ...sizes });
  const tokens = tokenizer.encode(text);
  const count = Math.floor(tokens.length * (config.data.validation as number));
  const valid = count < sequence + 1 ? undefined : tokens.subarray(-count);
  const train = valid ? tokens.subarray(0, -count) : tokens;
  const source = new BatchSampler({ tokens: train, batch, sequence, seed });
  return {
    model,
    tokenizer,
    sequence,
    source,
    validation: valid && (() => new BatchSampler({ tokens: valid, batch, sequence, seed: 0 })),
    weighted: false,
    batchesPerEpoch: Math.ceil(train.length / (batch * sequence)),
    about: { files, tokens: tokens.length },
  };
}
