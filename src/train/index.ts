export type { Corpus, TrainableModel } from './batch.ts';
export type { Length } from './budget.ts';
export {
  type CheckpointOptions,
  Checkpoints,
  configOfCheckpoint,
  newestCheckpoint,
  type RunState,
} from './checkpoints.ts';
export { checkSettings } from './config/check.ts';
export { isRunFile, overlay, readRunFile } from './config/file.ts';
export { type Dial, dial, type RunConfig, resolveRun } from './config/resolve.ts';
export type { RunSettings } from './config/schema.ts';
export { Evaluation, type EvaluationOptions } from './evaluation.ts';
export { flopsPerToken } from './flops.ts';
export { JsonLinesLogger, metricsIn, TensorBoardLogger } from './logs/files.ts';
export { type Logger, Loggers } from './logs/logger.ts';
export {
  DivergedError,
  type Keeper,
  type LoopOptions,
  type LoopResult,
  type Position,
  trainingLoop,
} from './loop.ts';
export { type ModelSizes, makeModel } from './new-model.ts';
export type { TrainingProgress } from './progress.ts';
export { describeMemory, type FitQuestion, memoryLimit, requireFit } from './run/fit.ts';
export { hasCheckpoint, RUN_FILES } from './run/folder.ts';
export { type RunAbout, type RunOptions, type RunOutcome, runTraining } from './run/run.ts';
export { cosineByShare, type RateSchedule } from './schedule.ts';
export {
  type TrainingOptions,
  type TrainingResult,
  type TrainingRun,
  trainLanguageModel,
} from './train.ts';
export {
  type StepResult,
  Trainer,
  type TrainerOptimizer,
  type TrainerOptions,
  type TrainingMemory,
} from './trainer.ts';
