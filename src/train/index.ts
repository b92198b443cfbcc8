export type { Corpus, TrainableModel } from './batch.ts';
export type { Length } from './budget.ts';
export { loadModel, type SavedModel, saveModel } from './model-folder.ts';
export type { TrainingProgress } from './progress.ts';
export {
  type TrainingOptions,
  type TrainingResult,
  type TrainingRun,
  trainLanguageModel,
} from './train.ts';
