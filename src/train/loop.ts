import type { BatchSource, TokenBatch } from '../data/index.ts';
import { weightOf } from './batch.ts';
import { type Length, makeBudget } from './budget.ts';
import type { Evaluation } from './evaluation.ts';
import { flopsPerToken } from './flops.ts';
import { StepClock, type TrainingProgress } from './progress.ts';
import type { RateSchedule } from './schedule.ts';
import type { ScaleResult, StepResult, Trainer } from './trainer.ts';

/** How far a run has come. */
export interface Position {
  /** Steps done. */
  readonly step: number;
  readonly tokens: number;
  /** Seconds of training. */
  readonly seconds: number;
}

export const START: Position = { step: 0, tokens: 0, seconds: 0 };

/** Keeps a run on disk. */
export interface Keeper {
  /** Called after each step; saves when it is due. */
  afterStep(position: Position): Promise<void>;
  /** Where the last good checkpoint lies, if there is one. */
  readonly lastGood: string | undefined;
}

export interface LoopOptions {
  readonly trainer: Trainer;
  readonly source: BatchSource;
  readonly length: Length;
  readonly schedule: RateSchedule;
  readonly evaluation?: Evaluation | undefined;
  readonly keeper?: Keeper | undefined;
  /** Where an earlier part of the run ended. */
  readonly from?: Position;
  readonly onProgress?: ((progress: TrainingProgress) => void) | undefined;
  /** Ends the run cleanly after the step in progress. */
  readonly signal?: AbortSignal | undefined;
}

export interface LoopResult extends Position {
  /** Of the last step; NaN if there was none. */
  readonly loss: number;
  readonly validationLoss: number | undefined;
  /** Whether the signal ended it. */
  readonly aborted: boolean;
}

/** A loss or a gradient that is no number: the run cannot go on. */
export class DivergedError extends RangeError {
  override readonly name = 'DivergedError';
  /** The step that failed, from 1. */
  readonly step: number;

  constructor(step: number, message: string) {
    super(message);
    this.step = step;
  }
}

/**
 * Trains until the length is reached or the signal aborts.
 *
 * @throws DivergedError when loss or gradients are not finite, naming step, batch and checkpoint
 */
export async function trainingLoop(options: LoopOptions): Promise<LoopResult> {
  const { trainer, source, schedule, evaluation, keeper, signal, from = START } = options;
  const began = now() - from.seconds;
  const budget = makeBudget(options.length, now, from);
  const tokensPerStep = trainer.batch * trainer.sequence * trainer.accumulate;
  const flops = flopsPerToken(trainer.model, trainer.sequence);
  const device = deviceOf(trainer);
  const clock = new StepClock();
  let position = from;
  let loss = Number.NaN;
  let share = budget.share(from.step);
  evaluation?.continueFrom(share);
  while (share < 1 && !signal?.aborted) {
    const started = now();
    const lr = schedule.rate(position.step, share);
    const cursor = source.state();
    const measured = await trainer.step(drawStep(source, trainer.accumulate), lr);
    refuseDiverged(measured, { step: position.step + 1, lr, cursor, keeper, trainer });
    loss = measured.loss;
    const step = position.step + 1;
    // The first step compiles: it says nothing about the others.
    if (step > from.step + 1) clock.add(now() - started);
    share = budget.share(step);
    const validationLoss = signal?.aborted ? undefined : await evaluation?.measureAt(step, share);
    if (validationLoss !== undefined) schedule.observe?.(validationLoss);
    position = { step, tokens: position.tokens + tokensPerStep, seconds: now() - began };
    const perStep = clock.seconds || now() - started;
    const tokensPerSecond = tokensPerStep / perStep;
    options.onProgress?.({
      ...position,
      steps: share < 1 ? budget.steps(step, perStep) : step,
      loss,
      lr,
      gradNorm: measured.gradNorm,
      ...scaleOf(measured.scaling),
      tokensPerSecond,
      ...(flops !== undefined && { gflops: (flops * tokensPerSecond) / 1e9 }),
      memoryBytes: device?.liveBytes ?? 0,
      etaSeconds: share < 1 ? budget.left(step, perStep) : 0,
      ...(validationLoss !== undefined && { validationLoss }),
    });
    await keeper?.afterStep(position);
  }
  return {
    ...position,
    loss,
    validationLoss: evaluation?.latest,
    aborted: signal?.aborted ?? false,
  };
}

/** Batches in a row without a token to learn before that counts as a fault of the data. */
const MOST_EMPTY = 10_000;

/** The batches of a step; those without a token to learn are passed over. */
function drawStep(source: BatchSource, count: number): TokenBatch[] {
  const batches: TokenBatch[] = [];
  for (let empty = 0; batches.length < count; ) {
    const batch = source.next();
    if (weightOf(batch) > 0) batches.push(batch);
    else if (++empty >= MOST_EMPTY) {
      throw new RangeError(
        `training: ${empty} batches hold no token that counts in the loss; expected some. Look at ` +
          'the data: answers may be cut off by a short sequence.',
      );
    }
  }
  return batches;
}

/** A scale so small that it is not what makes gradients infinite. */
const LEAST_SCALE = 2 ** -16;

function scaleOf(scaling: ScaleResult | undefined) {
  return scaling && { lossScale: scaling.scale, skippedSteps: scaling.skippedSteps };
}

function refuseDiverged(
  { loss, gradNorm, scaling }: StepResult,
  at: { step: number; lr: number; cursor: unknown; keeper: Keeper | undefined; trainer: Trainer },
): void {
  const { step, lr, cursor, keeper, trainer } = at;
  const finite = Number.isFinite(loss);
  if (finite && Number.isFinite(gradNorm)) return;
  // Gradients may be infinite by their scale alone: it is lower in the next step.
  if (finite && scaling?.skipped && scaling.scale >= LEAST_SCALE) return;
  const what = finite ? `the norm of the gradients of step ${step} is ${gradNorm}` : undefined;
  const range = trainer.precision === 'f16' ? ' f16 ends at 65504; bf16 has the range of f32.' : '';
  const kept = keeper?.lastGood;
  throw new DivergedError(
    step,
    `${what ?? `the loss of step ${step} is ${loss}`}; expected a finite number. The training has ` +
      `diverged: lower the learning rate (it was ${lr.toPrecision(3)} in this step) or use another ` +
      `seed.${range} The batch: ${JSON.stringify(cursor)}. ` +
      (kept === undefined ? 'There is no checkpoint.' : `The last good checkpoint is ${kept}.`),
  );
}

function deviceOf({ model }: Trainer): { readonly liveBytes: number } | undefined {
  const [first] = model.parameters().values();
  return first?.held.device;
}

function now(): number {
  return performance.now() / 1000;
}
