import type { Experiment } from './experiment.ts';
import { activations } from './experiments/activations.ts';
import { adamw } from './experiments/adamw.ts';
import { dropout } from './experiments/dropout.ts';
import { lecun1989 } from './experiments/lecun1989.ts';
import { residual } from './experiments/residual.ts';

/** All experiments, in the order of the history of the field. */
export const EXPERIMENTS: readonly Experiment[] = [
  lecun1989,
  activations,
  dropout,
  residual,
  adamw,
];
