import { badArgument } from '../base/errors.ts';
import { BatchSampler } from '../data/index.ts';
import { AdamW } from '../optim/index.ts';
import type { Precision } from '../tensor/index.ts';
import type { Corpus, TrainableModel } from './batch.ts';
import type { Length } from './budget.ts';
import { Evaluation } from './evaluation.ts';
import { trainingLoop } from './loop.ts';
import type { TrainingProgress } from './progress.ts';
import { cosineByShare } from './schedule.ts';
import { Trainer } from './trainer.ts';

export type TrainingOptions = Length & {
  /** Sequences a step. */
  readonly batch: number;
  /** Tokens a sequence. */
  readonly sequence: number;
  /** Of the order of the sequences (default 0). The model's first weights have their own. */
  readonly seed?: number;
  /** Highest learning rate (default 2e-3). */
  readonly lr?: number;
  /** Share of the run in which the learning rate rises (default 0.03). */
  readonly warmup?: number;
  readonly betas?: readonly [number, number];
  /** Default 0.1. */
  readonly weightDecay?: number;
  /** Highest common 2-norm of the gradients (default 1). */
  readonly clipNorm?: number;
  /** What products are computed in (default f32; see `autocast`). */
  readonly precision?: Precision | undefined;
  /** Where sequences may start (default: anywhere). */
  readonly starts?: ArrayLike<number> | undefined;
  /** How much each token counts in the loss (default: all the same). */
  readonly weights?: ArrayLike<number> | undefined;
  /** Text to measure the loss on, beside that trained on. */
  readonly validation?: Corpus | undefined;
  /** How often that is done (default 4), at equal distances up to the end. */
  readonly validations?: number;
};

export interface TrainingRun {
  readonly model: TrainableModel;
  readonly tokens: ArrayLike<number>;
  readonly options: TrainingOptions;
  readonly onProgress?: (progress: TrainingProgress) => void;
  /** Ends the run cleanly after the step in progress. */
  readonly signal?: AbortSignal | undefined;
}

export interface TrainingResult {
  /** Steps done. */
  readonly steps: number;
  readonly tokens: number;
  readonly seconds: number;
  /** Of the last step; NaN if there was none. */
  readonly loss: number;
  readonly validationLoss: number | undefined;
  /** Whether the signal ended it. */
  readonly aborted: boolean;
}

/** Batches of one measurement, always the same ones. */
const VALIDATION_BATCHES = 8;

/**
 * Trains a model on tokens with AdamW and a cosine schedule. The same model, tokens and options with
 * `steps` give the same weights, bit for bit. A run with `seconds` ends at that time.
 *
 * @throws RangeError when the loss is not finite any more
 * @throws RangeError for tokens shorter than a sequence, and for weights of another number
 */
export async function trainLanguageModel(run: TrainingRun): Promise<TrainingResult> {
  const { model, tokens, options, onProgress, signal } = run;
  const { batch, sequence, seed = 0, lr = 2e-3, starts, weights, clipNorm = 1 } = options;
  const { betas = [0.9, 0.95], weightDecay = 0.1, validation, validations = 4 } = options;
  if (!Number.isInteger(validations) || validations < 0) {
    throw badArgument('trainLanguageModel', 'validations', validations, 'an integer >= 0');
  }
  const source = new BatchSampler({ tokens, batch, sequence, seed, starts, weights });
  const schedule = cosineByShare(lr, options.warmup ?? 0.03);
  const optimizer = new AdamW(model.parameters(), { betas, weightDecay, decays: 'matrices' });
  const { precision } = options;
  const trainer = new Trainer({ model, optimizer, batch, sequence, clipNorm, precision });
  try {
    const evaluation =
      validation && validations > 0
        ? new Evaluation(trainer, {
            source: () => new BatchSampler({ ...validation, batch, sequence, seed: 0 }),
            batches: VALIDATION_BATCHES,
            when: { times: validations },
          })
        : undefined;
    const length = options as Length;
    const { step, ...result } = await trainingLoop({
      trainer,
      source,
      length,
      schedule,
      evaluation,
      onProgress,
      signal,
    });
    return { steps: step, ...result };
  } finally {
    trainer.dispose();
  }
}
