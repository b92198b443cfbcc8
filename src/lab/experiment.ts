import type { BarChart, Chart } from '../charts/index.ts';
import type { DataFolder } from './data-folder.ts';

/** What an experiment finds out on its way. */
export type Finding = Progress | Row | Note | Figure;

/** For whoever waits: not part of the result. */
export interface Progress {
  readonly kind: 'progress';
  readonly text: string;
}

/** A line of the table: what the paper says, and what was measured. */
export interface Row {
  readonly kind: 'row';
  readonly what: string;
  readonly paper: string;
  readonly ours: string;
  /** Whether ours bears the paper out; undefined where the paper says nothing to be borne out. */
  readonly holds?: boolean;
}

/** A sentence for the page below the table. */
export interface Note {
  readonly kind: 'note';
  readonly text: string;
}

/** The picture of the result. */
export interface Figure {
  readonly kind: 'figure';
  readonly chart: Chart | BarChart;
}

/** What an experiment runs with. */
export interface Lab {
  /** One run for each; 1, 2, 3 and so on. */
  readonly seeds: readonly number[];
  readonly data: DataFolder;
  /** Ends the run at the next step when it is aborted. */
  readonly signal: AbortSignal;
  /** Chooses between the size of the experiment and one that only shows that it runs. */
  size<T>(full: T, quick: T): T;
}

/** An experiment: facts, and a function that yields its findings. */
export interface Experiment {
  readonly name: string;
  readonly title: string;
  readonly paper: string;
  readonly claim: string;
  /** How it is done here, a line each. */
  readonly setting: readonly string[];
  /** Number of seeds that the result is stated for. */
  readonly seeds: number;
  run(lab: Lab): AsyncGenerator<Finding, void, void>;
}

export const progress = (text: string): Progress => ({ kind: 'progress', text });

export const note = (text: string): Note => ({ kind: 'note', text });

export const figure = (chart: Chart | BarChart): Figure => ({ kind: 'figure', chart });

/** @param holds left out where there is nothing to be borne out */
export function row(what: string, paper: string, ours: string, holds?: boolean): Row {
  return { kind: 'row', what, paper, ours, ...(holds !== undefined && { holds }) };
}
