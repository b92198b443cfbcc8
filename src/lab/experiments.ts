import type { Experiment } from './experiment.ts';
import { lecun1989 } from './experiments/lecun1989.ts';

/** All experiments, in the order of the history of the field. */
export const EXPERIMENTS: readonly Experiment[] = [lecun1989];
