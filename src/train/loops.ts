/** Training by code; runs as files are in `index.ts`, and take a library that checks settings. */

export type { Corpus, TrainableModel } from './batch.ts';
export type { Length } from './budget.ts';
export {
  type CheckpointOptions,
  Checkpoints,
  configOfCheckpoint,
  newestCheckpoint,
  type RunState,
} from './checkpoints.ts';
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
export { cosineByShare, type RateSchedule } from './schedule.ts';
export {
  type TrainingOptions,
  type TrainingResult,
  type TrainingRun,
  trainLanguageModel,
} from './train.ts';
export {
  type ScaleResult,
  type StepResult,
  Trainer,
  type TrainerOptimizer,
  type TrainerOptions,
  type TrainingMemory,
} from './trainer.ts';
