import { BatchSampler, CharacterTokenizer, type TokenBatch } from '../data/index.ts';
import { Llama, llamaConfig } from '../models/index.ts';
import type { Module } from '../nn/index.ts';
import { clipByGlobalNorm, type Optimizer, type Schedule } from '../optim/index.ts';
import { jit, type Tensor, tensor, valueAndGrad } from '../tensor/index.ts';
import type { Lab } from './experiment.ts';
import { mean } from './statistics.ts';

/** A model of the next character: mean cross-entropy in nats. */
export type CharacterModel = Module & { loss(inputs: Tensor, targets: Tensor): Tensor };

/** Shakespeare as characters: nine tenths to learn, the rest to measure. */
export interface Characters {
  readonly train: Int32Array;
  readonly validation: Int32Array;
  readonly vocabulary: number;
}

export async function charactersOf(lab: Lab): Promise<Characters> {
  const text = await lab.data.shakespeare();
  const tokenizer = CharacterTokenizer.fromText(text);
  const ids = Int32Array.from(tokenizer.encode(text));
  const end = Math.floor(0.9 * ids.length);
  return {
    train: ids.subarray(0, end),
    validation: ids.subarray(end),
    vocabulary: tokenizer.size,
  };
}

/** A llama of two layers of width 64: 0.1 M parameters. */
export function smallTransformer(vocabulary: number, sequence: number): Llama {
  const config = llamaConfig({
    vocab_size: vocabulary,
    hidden_size: 64,
    intermediate_size: 176,
    num_hidden_layers: 2,
    num_attention_heads: 4,
    max_position_embeddings: sequence,
  });
  return new Llama(config, { std: 0.05 });
}

export interface CharacterRun {
  /** Both are disposed of at the end. */
  readonly model: CharacterModel;
  readonly optimizer: Optimizer;
  readonly characters: Characters;
  readonly rate?: Schedule;
  readonly steps: number;
  readonly batch: number;
  readonly sequence: number;
  /** Of the order of the text. */
  readonly seed: number;
  readonly signal: AbortSignal;
}

export interface CharacterResult {
  /** The training loss of each step. */
  readonly losses: readonly number[];
  /** After the last step, on the same batches for every run. */
  readonly validation: number;
}

/** Batches of a measurement. */
const VALIDATION_BATCHES = 12;

/** Largest common norm of the gradients, as is usual for language models. */
const MAX_NORM = 1;

/** Trains a model of characters; gradients are clipped to a common norm of 1. */
export async function trainCharacters(run: CharacterRun): Promise<CharacterResult> {
  const { model, optimizer, characters, rate, steps, batch, sequence, seed } = run;
  const sampler = new BatchSampler({ tokens: characters.train, batch, sequence, seed });
  const step = jit((x: Tensor, y: Tensor) => {
    const { value, grads } = valueAndGrad((m: CharacterModel) => m.loss(x, y))(model);
    optimizer.update(clipByGlobalNorm(grads, MAX_NORM).grads);
    return value;
  });
  const measure = jit((x: Tensor, y: Tensor) => model.loss(x, y));
  const on = async (f: (x: Tensor, y: Tensor) => Promise<Tensor>, tokens: TokenBatch) => {
    using x = tensor(tokens.inputs, { shape: [batch, sequence] });
    using y = tensor(tokens.targets, { shape: [batch, sequence] });
    using loss = await f(x, y);
    return await loss.item();
  };
  const losses: number[] = [];
  try {
    for (let t = 0; t < steps; t++) {
      run.signal.throwIfAborted();
      if (rate) optimizer.setLearningRate(rate(t));
      losses.push(await on(step, sampler.next()));
    }
    const held = new BatchSampler({ tokens: characters.validation, batch, sequence, seed: 1 });
    const measured: number[] = [];
    for (let i = 0; i < VALIDATION_BATCHES; i++) measured.push(await on(measure, held.next()));
    return { losses, validation: mean(measured) };
  } finally {
    step.dispose();
    measure.dispose();
    optimizer.dispose();
    model.dispose();
  }
}

/** The mean of each `width` losses: single batches are noisy. */
export function smoothed(losses: readonly number[], width: number): number[] {
  const count = Math.ceil(losses.length / width);
  return Array.from({ length: count }, (_, i) => mean(losses.slice(i * width, (i + 1) * width)));
}
