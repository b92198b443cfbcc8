import type { Experiment } from './experiment.ts';
import { activations } from './experiments/activations.ts';
import { adam } from './experiments/adam.ts';
import { adamw } from './experiments/adamw.ts';
import { dropout } from './experiments/dropout.ts';
import { lecun1989 } from './experiments/lecun1989.ts';
import { residual } from './experiments/residual.ts';
import { rnnLstm } from './experiments/rnn-lstm.ts';
import { schedules } from './experiments/schedules.ts';
import { transformer } from './experiments/transformer.ts';

/** All experiments, in the order of the history of the field. */
export const EXPERIMENTS: readonly Experiment[] = [
  lecun1989,
  rnnLstm,
  activations,
  dropout,
  residual,
  adam,
  transformer,
  adamw,
  schedules,
];
