import { join } from 'node:path';
import { badArgument } from '../../base/errors.ts';
import { writeFileAtomic } from '../../io/index.ts';
import { addLora, type LoraAdapter } from '../../nn/index.ts';
import { makeOptimizer } from '../../optim/index.ts';
import { setMemoryBudget } from '../../tensor/index.ts';
import type { Length } from '../budget.ts';
import { Checkpoints } from '../checkpoints.ts';
import type { RunConfig } from '../config/resolve.ts';
import { Evaluation } from '../evaluation.ts';
import { JsonLinesLogger, metricsIn, TensorBoardLogger } from '../logs/files.ts';
import { type Logger, Loggers } from '../logs/logger.ts';
import { lossCurve } from '../logs/loss-curve.ts';
import { type LoopResult, type Position, START, trainingLoop } from '../loop.ts';
import type { TrainingProgress } from '../progress.ts';
import { Trainer, type TrainingMemory } from '../trainer.ts';
import { memoryLimit, requireFit } from './fit.ts';
import { claimRunFolder, clearRun, RUN_FILES, warnOfSmallDisk, writeConfig } from './folder.ts';
import { packedOf } from './packed.ts';
import { type Prepared, prepare } from './prepare.ts';
import { modelFiles, saveResult } from './result.ts';
import { insist } from './saving.ts';
import { scheduleOf } from './schedule.ts';

export interface RunOptions {
  readonly config: RunConfig;
  /** Goes on from the newest checkpoint of the run's folder. */
  readonly resume?: boolean;
  /** Removes an earlier run of the same folder. */
  readonly overwrite?: boolean;
  /** Before the first step: what will be trained, and whether it fits. */
  readonly onStart?: (about: RunAbout) => void;
  readonly onProgress?: (progress: TrainingProgress) => void;
  /** Told what goes wrong without ending the run. */
  readonly warn?: (message: string) => void;
  /** Ends the run after the step in progress; it is saved as it stands. */
  readonly signal?: AbortSignal | undefined;
  /** Seconds for which the end is saved again and again while the disk is full (default 600). */
  readonly patience?: number;
}

/** A run before its first step. */
export interface RunAbout {
  readonly data: Prepared['data'];
  readonly vocabulary: number;
  /** Packed weights among them. */
  readonly parameters: number;
  /** Those of them that change. */
  readonly trainable: number;
  readonly memory: TrainingMemory;
  /** Bytes that there are. */
  readonly limit: number;
  readonly out: string;
  /** Where the run goes on from. */
  readonly from: Position;
  readonly checkpoint: string | undefined;
}

export interface RunOutcome extends LoopResult {
  readonly out: string;
  /** The model and its tokenizer; the caller disposes of the model. */
  readonly prepared: Prepared;
}

/**
 * A whole run: from its settings to a folder with the model, its checkpoints and logs.
 *
 * @throws Error before anything is computed where the settings do not go together, the data cannot be
 *   read, the folder is taken, or the training does not fit into memory
 * @throws DivergedError when loss or gradients are not finite
 */
export async function runTraining(options: RunOptions): Promise<RunOutcome> {
  const { config, resume = false, overwrite = false, warn = () => {}, signal } = options;
  const { out, train, lora } = config;
  const prepared = await prepare(config);
  const { model, sequence } = prepared;
  try {
    const checkpoint = await claimRunFolder(out, { resume, overwrite, warn });
    model.gradientCheckpointing = train.gradientCheckpointing;
    const adapters = lora ? addLora(model, adapterOptions(lora)) : undefined;
    const run = assemble(config, prepared, adapters);
    try {
      const budget = train.memory === undefined ? undefined : train.memory * 2 ** 20;
      const limit = memoryLimit(run.trainer, budget);
      const memory = requireFit({
        trainer: run.trainer,
        weighted: prepared.weighted,
        limit,
        gradientCheckpointing: train.gradientCheckpointing,
        lora: lora !== undefined,
      });
      if (budget !== undefined) setMemoryBudget(budget);
      const keeper = checkpointsOf(config, prepared, run, warn);
      const from = checkpoint === undefined ? START : await keeper.restore(checkpoint);
      // Nothing on disk has changed before this line: a run that is refused can be tried otherwise.
      if (overwrite && !resume) await clearRun(out);
      await writeConfig({ ...config, train: { ...train, sequence } });
      await warnOfSmallDisk(config, memory.parameters + memory.optimizer, warn);
      options.onStart?.({ ...aboutOf(prepared), memory, limit, out, from, checkpoint });
      const loggers = new Loggers(await loggersOf(config, from), warn);
      const result = await trainingLoop({
        ...run,
        source: prepared.source,
        keeper,
        from,
        onProgress: (progress) => {
          loggers.log(progress);
          options.onProgress?.(progress);
        },
        signal,
      }).finally(() => loggers.close());
      if (result.step > 0) {
        const seconds = options.patience ?? 600;
        await insist(() => keeper.save(result), { seconds, warn, signal });
        await insist(() => saveResult(config, prepared), { seconds, warn, signal });
      }
      if (config.logs.svg) await drawCurve(out).catch((error) => warn((error as Error).message));
      return { ...result, out, prepared };
    } finally {
      run.trainer.dispose();
      if (train.memory !== undefined) setMemoryBudget(Number.POSITIVE_INFINITY);
    }
  } catch (error) {
    model.dispose();
    throw error;
  }
}

function adapterOptions({ r, alpha, rslora, targets }: NonNullable<RunConfig['lora']>) {
  return { r, alpha, rslora, ...(targets && { targets }) };
}

/** Trainer, schedule and evaluation as the settings have them. */
function assemble(
  config: RunConfig,
  prepared: Prepared,
  adapters: ReadonlyMap<string, LoraAdapter> | undefined,
) {
  const { train } = config;
  const { model, sequence, validation, batchesPerEpoch } = prepared;
  const { batch, accumulate, clipNorm, evalEvery, precision } = train;
  const trainable = [...model.parameters()].filter(([, p]) => p.trainable);
  const optimizer = makeOptimizer(config.optimizer, new Map(trainable));
  const trainer = new Trainer({
    model,
    optimizer,
    batch,
    sequence,
    accumulate,
    clipNorm: clipNorm ?? undefined,
    precision,
  });
  try {
    const length: Length =
      'epochs' in train
        ? { steps: Math.max(1, Math.round((train.epochs * batchesPerEpoch) / accumulate)) }
        : train;
    const schedule = scheduleOf(config.schedule, config.optimizer.lr, length, optimizer);
    if (schedule.observe && !validation) {
      const expected = 'data.validation beside it: it follows the loss on data that are held out';
      throw badArgument('run', 'schedule.name', config.schedule.name, expected);
    }
    const evaluation =
      validation &&
      new Evaluation(trainer, {
        ...validation,
        when: measuredWhen(length, evalEvery),
      });
    // The weights under adapters never change: they need no place in checkpoints.
    const cells = adapters ? new Map(trainable) : model.state();
    return { trainer, length, schedule, evaluation, cells, source: prepared.source };
  } catch (error) {
    trainer.dispose();
    throw error;
  }
}

/** How often a run is measured where nothing is said. */
const MEASUREMENTS = 10;

function measuredWhen(length: Length, every: number | undefined) {
  if (every !== undefined) return { every };
  if ('seconds' in length) return { times: MEASUREMENTS };
  return { every: Math.max(1, Math.round(length.steps / MEASUREMENTS)) };
}

function checkpointsOf(
  config: RunConfig,
  prepared: Prepared,
  run: ReturnType<typeof assemble>,
  warn: (message: string) => void,
): Checkpoints {
  const { every, minutes, keep } = config.checkpoints;
  return new Checkpoints(run, {
    folder: join(config.out, RUN_FILES.checkpoints),
    every,
    seconds: minutes === undefined ? undefined : minutes * 60,
    keep,
    config,
    ...(!config.lora && { files: modelFiles(prepared) }),
    warn,
  });
}

function aboutOf({ model, tokenizer, data }: Prepared) {
  const parameters = [...model.parameters().values()];
  const count = (list: typeof parameters) => list.reduce((n, { size }) => n + size, 0);
  const packed = packedOf(model).reduce((n, { shape: [rows, columns] }) => n + rows * columns, 0);
  return {
    data,
    vocabulary: tokenizer.size,
    parameters: count(parameters) + packed,
    trainable: count(parameters.filter(({ trainable }) => trainable)),
  };
}

async function loggersOf({ out, logs }: RunConfig, from: Position): Promise<Logger[]> {
  const lines = await JsonLinesLogger.continueFrom(join(out, RUN_FILES.metrics), from.step);
  if (!logs.tensorboard) return [lines];
  return [lines, new TensorBoardLogger(join(out, RUN_FILES.tensorboard))];
}

async function drawCurve(out: string): Promise<void> {
  const metrics = await metricsIn(join(out, RUN_FILES.metrics));
  if (metrics.length < 2) return;
  await writeFileAtomic(join(out, RUN_FILES.curve), await lossCurve(metrics, `Loss of ${out}`));
}
