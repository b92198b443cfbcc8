export { checkSettings } from './config/check.ts';
export { isRunFile, overlay, readRunFile } from './config/file.ts';
export { type Dial, dial, type RunConfig, resolveRun } from './config/resolve.ts';
export type { RunSettings } from './config/schema.ts';
export * from './loops.ts';
export { describeMemory, type FitQuestion, memoryLimit, requireFit } from './run/fit.ts';
export { hasCheckpoint, RUN_FILES } from './run/folder.ts';
export { type RunAbout, type RunOptions, type RunOutcome, runTraining } from './run/run.ts';
