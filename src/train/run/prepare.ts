import {
  type BatchSource,
  PackedBatches,
  PaddedBatches,
  type TokenDocuments,
} from '../../data/index.ts';
import { type DatasetCounts, loadDataset } from '../../data/node.ts';
import { loadTokenizer, type Tokenizer } from '../../io/index.ts';
import { loadModel, type Pretrained } from '../../models/index.ts';
import { random } from '../../tensor/index.ts';
import type { RunConfig } from '../config/resolve.ts';
import { makeModel } from '../new-model.ts';
import { newTokenizer } from './new-tokenizer.ts';
import { packedOf } from './packed.ts';

/** What a run trains on what. */
export interface Prepared extends Pretrained {
  readonly tokenizer: Tokenizer;
  /** Tokens of a row. */
  readonly sequence: number;
  readonly source: BatchSource;
  readonly validation: Validation | undefined;
  /** Whether the batches have weights. */
  readonly weighted: boolean;
  /** Batches in which each token comes once. */
  readonly batchesPerEpoch: number;
  readonly data: { readonly train: DatasetCounts; readonly validation: DatasetCounts | undefined };
}

/** The same batches at each call. */
export interface Validation {
  readonly source: () => BatchSource;
  /** How many there are. */
  readonly batches: number;
}

/** Rows longer than this are to be asked for where a model is trained further. */
const USUAL_SEQUENCE = 256;

/**
 * Makes or loads model and tokenizer, and reads the data; nothing is computed yet.
 *
 * @throws Error naming the file, and in it line and field, that cannot be used
 */
export async function prepare(config: RunConfig): Promise<Prepared> {
  const { train, data } = config;
  random.seed(train.seed);
  const base = await loadBase(config);
  const dataset = await loadDataset({ ...data, seed: train.seed }, base.tokenizer);
  const { tokenizer } = dataset;
  const { model, generation } = base.pretrained ?? {
    model: newModel(config, tokenizer.size),
    generation: {},
  };
  try {
    const longest = model.config.max_position_embeddings;
    const sequence = train.sequence ?? Math.min(USUAL_SEQUENCE, longest);
    if (sequence > longest) {
      throw new TypeError(
        `run: train.sequence is ${sequence}; expected at most ${longest}, the model's longest`,
      );
    }
    const batchesOf = (documents: TokenDocuments, shuffle: boolean) => {
      const options = { documents, batch: train.batch, sequence, seed: train.seed, shuffle };
      return data.rows === 'packed' ? new PackedBatches(options) : new PaddedBatches(options);
    };
    const source = batchesOf(dataset.train, true);
    const held = dataset.validation;
    return {
      model,
      tokenizer,
      generation,
      sequence,
      source,
      validation: held && {
        source: () => batchesOf(held, false),
        // A part of a batch would be filled up with rows that were measured already.
        batches: Math.min(
          train.evalBatches,
          Math.max(1, Math.floor(batchesOf(held, false).rowsPerEpoch / train.batch)),
        ),
      },
      weighted: batchesOf(dataset.train, false).next().weights !== undefined,
      batchesPerEpoch: Math.max(1, source.rowsPerEpoch / train.batch),
      data: dataset.about,
    };
  } catch (error) {
    model.dispose();
    throw error;
  }
}

async function loadBase(
  config: RunConfig,
): Promise<{ pretrained?: Pretrained; tokenizer: Tokenizer }> {
  const { model, tokenizer } = config;
  if ('from' in model) {
    const pretrained = await loadModel(model.from);
    const packed = packedOf(pretrained.model).length;
    if (packed > 0 && !config.lora) {
      pretrained.model.dispose();
      throw new Error(
        `model ${JSON.stringify(model.from)} has ${packed} packed weights, which cannot be trained; ` +
          'expected an adapter over them (--lora), or the model that it was made from',
      );
    }
    if (pretrained.tokenizer) return { pretrained, tokenizer: pretrained.tokenizer };
    pretrained.model.dispose();
    throw new Error(
      `model ${JSON.stringify(model.from)} has no tokenizer.json; expected one beside its weights`,
    );
  }
  if (tokenizer.from !== undefined) return { tokenizer: await loadTokenizer(tokenizer.from) };
  return { tokenizer: await newTokenizer(config) };
}

function newModel({ model }: RunConfig, vocabulary: number) {
  if ('from' in model) throw new TypeError(`run: model.from is ${model.from}; it was to be loaded`);
  const { width: dim, ...sizes } = model;
  return makeModel(vocabulary, { dim, ...sizes });
}
