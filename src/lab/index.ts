export { DataFolder } from './data-folder.ts';
export type { Experiment, Finding, Lab } from './experiment.ts';
export { EXPERIMENTS } from './experiments.ts';
export { findExperiment, type LabOptions, type Report, runExperiment } from './harness.ts';
export { pageOf, verdict, writePage } from './page.ts';
