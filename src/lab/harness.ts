import { badArgument } from '../base/errors.ts';
import { unknownName } from '../base/nearest.ts';
import type { BarChart, Chart } from '../charts/index.ts';
import { DataFolder } from './data-folder.ts';
import type { Experiment, Finding, Note, Row } from './experiment.ts';
import { EXPERIMENTS } from './experiments.ts';

export interface LabOptions {
  /** Folder with mnist/, usps/ and text/ in it. */
  readonly data?: string | undefined;
  /** Number of seeds (default: the experiment's own). */
  readonly seeds?: number | undefined;
  /** Sizes that only show that it runs. */
  readonly quick?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Each finding as soon as it is there. */
  readonly onFinding?: (finding: Finding) => void;
}

/** All that came out of one run. */
export interface Report {
  readonly experiment: Experiment;
  readonly seeds: readonly number[];
  readonly quick: boolean;
  readonly rows: readonly Row[];
  readonly notes: readonly Note[];
  readonly chart: Chart | BarChart | undefined;
  readonly seconds: number;
}

/** @throws TypeError for a name that no experiment has, with the nearest one */
export function findExperiment(name: string): Experiment {
  const found = EXPERIMENTS.find((experiment) => experiment.name === name);
  const names = EXPERIMENTS.map((experiment) => experiment.name);
  if (!found) throw unknownName('lab', 'experiment', name, names);
  return found;
}

/**
 * Runs an experiment to its end.
 *
 * @throws Error naming the file and its format where data is missing; the signal's reason
 */
export async function runExperiment(
  experiment: Experiment,
  options: LabOptions = {},
): Promise<Report> {
  const { quick = false, seeds: count = quick ? 1 : experiment.seeds, onFinding } = options;
  const { signal = new AbortController().signal } = options;
  if (!Number.isInteger(count) || count < 1) {
    throw badArgument('lab', 'seeds', count, 'an integer >= 1');
  }
  const seeds = Array.from({ length: count }, (_, i) => i + 1);
  const data = new DataFolder(options.data);
  const rows: Row[] = [];
  const notes: Note[] = [];
  let chart: Chart | BarChart | undefined;
  const began = performance.now();
  const lab = { seeds, data, signal, size: <T>(full: T, small: T) => (quick ? small : full) };
  for await (const finding of experiment.run(lab)) {
    signal.throwIfAborted();
    onFinding?.(finding);
    switch (finding.kind) {
      case 'row':
        rows.push(finding);
        break;
      case 'note':
        notes.push(finding);
        break;
      case 'figure':
        chart = finding.chart;
        break;
      case 'progress':
        break;
      default:
        throw badArgument('lab', 'finding', finding satisfies never, 'a row, note, figure');
    }
  }
  const seconds = (performance.now() - began) / 1000;
  return { experiment, seeds, quick, rows, notes, chart, seconds };
}
