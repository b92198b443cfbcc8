import { badArgument } from '../base/errors.ts';
import { BatchSampler, type TokenBatch } from '../data/index.ts';
import { AdamW, clipByGlobalNorm, cosineSchedule } from '../optim/index.ts';
import { jit, type Tensor, valueAndGrad } from '../tensor/index.ts';
import { type BatchTensors, type Corpus, lossOf, type TrainableModel, tensorsOf } from './batch.ts';
import { type Length, makeBudget } from './budget.ts';
import { StepClock, type TrainingProgress } from './progress.ts';
import { Validation } from './validation.ts';

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

/**
 * Trains a language model on windows of a text: AdamW on gradients clipped by their common norm,
 * the learning rate rising linearly and then falling by half a cosine. With `steps` the same seeds
 * give the same bits; with `seconds` the schedule follows the clock.
 *
 * @throws RangeError if the loss is no longer a number; the model's weights are then useless
 */
export async function trainLanguageModel(run: TrainingRun): Promise<TrainingResult> {
  const { model, options, onProgress, signal } = run;
  const { batch, sequence, seed = 0, lr: peak = 2e-3, starts, weights } = options;
  const { tokens } = run;
  const sampler = new BatchSampler({ tokens, batch, sequence, seed, starts, weights });
  const begin = seconds();
  const budget = makeBudget(options, seconds);
  const rate = rateByShare(peak, options.warmup ?? 0.03);
  const validation = new Validation(model, options);
  const trainer = new Trainer(model, options);
  const clock = new StepClock();
  let loss = Number.NaN;
  let step = 0;
  try {
    for (let share = 0; share < 1 && !signal?.aborted; ) {
      const started = seconds();
      const lr = rate(share);
      const measured = await trainer.step(sampler.next(), lr);
      loss = measured.loss;
      if (!Number.isFinite(loss)) throw diverged(step + 1, loss, lr);
      step++;
      // The first step compiles: it says nothing about the others.
      if (step > 1) clock.add(seconds() - started);
      share = budget.share(step);
      const validationLoss = signal?.aborted ? undefined : await validation.measureAt(share);
      const perStep = clock.seconds || seconds() - started;
      onProgress?.({
        step,
        steps: share < 1 ? budget.steps(step, perStep) : step,
        ...measured,
        lr,
        tokensPerSecond: (batch * sequence) / perStep,
        etaSeconds: share < 1 ? budget.left(step, perStep) : 0,
        ...(validationLoss !== undefined && { validationLoss }),
      });
    }
  } finally {
    trainer.dispose();
    validation.dispose();
  }
  return {
    steps: step,
    tokens: step * batch * sequence,
    seconds: seconds() - begin,
    loss,
    validationLoss: validation.latest,
    aborted: signal?.aborted ?? false,
  };
}

/** One compiled step: loss, gradients, clipping, update. */
class Trainer {
  readonly #model: TrainableModel;
  readonly #shape: readonly [number, number];
  readonly #optimizer: AdamW;
  readonly #step;

  constructor(model: TrainableModel, options: TrainingOptions) {
    const { betas = [0.9, 0.95], weightDecay = 0.1, clipNorm = 1 } = options;
    if (!(clipNorm > 0)) {
      throw badArgument('trainLanguageModel', 'clipNorm', clipNorm, 'a number > 0');
    }
    const optimizer = new AdamW(model.parameters(), { betas, weightDecay });
    this.#model = model;
    this.#shape = [options.batch, options.sequence];
    this.#optimizer = optimizer;
    this.#step = jit((batch: BatchTensors) => {
      const { value, grads } = valueAndGrad(lossOf)(model, batch);
      const clipped = clipByGlobalNorm(grads, clipNorm);
      optimizer.update(clipped.grads);
      return { loss: value, norm: clipped.norm };
    });
  }

  async step(batch: TokenBatch, lr: number): Promise<{ loss: number; gradNorm: number }> {
    this.#optimizer.setLearningRate(lr);
    const tensors = tensorsOf(this.#model, batch, this.#shape);
    const used: Tensor[] = Object.values(tensors);
    try {
      const { loss, norm } = await this.#step(tensors);
      used.push(loss, norm);
      return { loss: await loss.item(), gradNorm: await norm.item() };
    } finally {
      for (const t of used) t.dispose();
    }
  }

  dispose(): void {
    this.#step.dispose();
    this.#optimizer.dispose();
  }
}

/** Learning rate by the share of the run that is done. */
function rateByShare(peak: number, warmup: number): (share: number) => number {
  if (!(warmup >= 0 && warmup < 1)) {
    throw badArgument('trainLanguageModel', 'warmup', warmup, 'a share from 0 to 1');
  }
  // So many parts that the schedule, which counts steps, is as good as continuous.
  const parts = 10_000;
  const schedule = cosineSchedule({ peak, steps: parts, warmup: warmup * parts, floor: peak / 50 });
  return (share) => schedule(share * parts);
}

function diverged(step: number, loss: number, lr: number): RangeError {
  return new RangeError(
    `the loss of step ${step} is ${loss}; expected a finite number. The training has diverged: ` +
      `lower the learning rate (it was ${lr.toPrecision(3)} in this step) or use another seed.`,
  );
}

function seconds(): number {
  return performance.now() / 1000;
}
