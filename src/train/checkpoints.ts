import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { badArgument } from '../base/errors.ts';
import type { BatchSource } from '../data/index.ts';
import {
  damageOf,
  encodeSafetensors,
  type FileContent,
  readJson,
  readSafetensors,
  removeFolder,
  removeUnfinished,
  writeFolderAtomic,
} from '../io/index.ts';
import { type Cell, random, type random as randomNumbers } from '../tensor/index.ts';
import { setCells, storedCells } from './cells.ts';
import type { Keeper, Position } from './loop.ts';
import type { RateSchedule } from './schedule.ts';
import type { Trainer } from './trainer.ts';

const MODEL = 'model.safetensors';
const OPTIMIZER = 'optimizer.safetensors';
const SCALER = 'scaler.safetensors';
const TRAINING = 'training.json';
const FORMAT = 1;

/** All that changes while a run goes on. */
export interface RunState {
  readonly trainer: Trainer;
  readonly source: BatchSource;
  readonly schedule: RateSchedule;
  /** The model's cells by name: parameters and running statistics. */
  readonly cells: ReadonlyMap<string, Cell>;
}

export interface CheckpointOptions {
  /** Holds the checkpoints, a folder `step-N` for each. */
  readonly folder: string;
  /** Steps between checkpoints; none by steps where it is not given. */
  readonly every?: number | undefined;
  /** Seconds between checkpoints; none by time where it is not given. */
  readonly seconds?: number | undefined;
  /** How many are kept (default 3). */
  readonly keep?: number;
  /** The run's settings, kept with each checkpoint. */
  readonly config?: unknown;
  /** Further files of each checkpoint, by name. */
  readonly files?: ReadonlyMap<string, string>;
  /** Told what goes wrong without ending the run. */
  readonly warn: (message: string) => void;
}

/** What training.json holds beside the position. */
interface Training extends Position {
  readonly format: number;
  readonly source: unknown;
  readonly schedule: unknown;
  readonly random: randomNumbers.GeneratorState;
  readonly config: unknown;
}

/**
 * Keeps a run on disk. A checkpoint is a folder that is there whole or not at all, with the hash of
 * each of its files: model, optimiser, random numbers, schedule, the place in the data. Older ones are
 * removed when a newer one is complete. One that cannot be written is told, and training goes on.
 */
export class Checkpoints implements Keeper {
  readonly #run: RunState;
  readonly #options: CheckpointOptions;
  #saved: number | undefined;
  #lastTime = performance.now();

  constructor(run: RunState, options: CheckpointOptions) {
    const { every = 1, keep = 3, seconds = 1 } = options;
    if (!Number.isInteger(every) || every < 1) {
      throw badArgument('Checkpoints', 'every', every, 'an integer >= 1');
    }
    if (!Number.isInteger(keep) || keep < 1) {
      throw badArgument('Checkpoints', 'keep', keep, 'an integer >= 1');
    }
    if (!(seconds > 0)) throw badArgument('Checkpoints', 'seconds', seconds, 'a number > 0');
    this.#run = run;
    this.#options = options;
  }

  get lastGood(): string | undefined {
    return this.#saved === undefined ? undefined : this.#path(this.#saved);
  }

  #path(step: number): string {
    return join(this.#options.folder, `step-${step}`);
  }

  async afterStep(position: Position): Promise<void> {
    const { every, seconds, warn } = this.#options;
    const bySteps = every !== undefined && position.step % every === 0;
    const byTime = seconds !== undefined && performance.now() - this.#lastTime >= seconds * 1000;
    if (!bySteps && !byTime) return;
    this.#lastTime = performance.now();
    try {
      await this.save(position);
    } catch (error) {
      warn(
        `the checkpoint of step ${position.step} is not saved: ${(error as Error).message}. ` +
          `Training goes on, and the next one is tried in its turn; ` +
          (this.lastGood === undefined ? 'there is none yet' : `${this.lastGood} is good`),
      );
    }
  }

  /** @throws Error naming the file that cannot be written; the checkpoints before are untouched */
  async save(position: Position): Promise<string> {
    const path = this.#path(position.step);
    if (this.#saved === position.step) return path;
    await writeFolderAtomic(path, await this.#files(position));
    this.#saved = position.step;
    await this.#prune();
    return path;
  }

  async #files(position: Position): Promise<Map<string, FileContent>> {
    const { trainer, source, schedule, cells } = this.#run;
    const { config, files } = this.#options;
    const training: Training = {
      format: FORMAT,
      ...position,
      source: source.state(),
      schedule: schedule.state?.() ?? null,
      random: await random.state(),
      config: config ?? null,
    };
    return new Map<string, FileContent>([
      [MODEL, encodeSafetensors(await storedCells(cells), { format: 'pt' })],
      [OPTIMIZER, encodeSafetensors(await storedCells(trainer.optimizer.state()))],
      ...(await this.#scalerFile()),
      [TRAINING, `${JSON.stringify(training, null, 2)}\n`],
      ...(files ?? []),
    ]);
  }

  async #scalerFile(): Promise<[string, FileContent][]> {
    const { scaler } = this.#run.trainer;
    return scaler ? [[SCALER, encodeSafetensors(await storedCells(scaler.state()))]] : [];
  }

  /** Only older ones go: the newest is complete by now. */
  async #prune(): Promise<void> {
    const { folder, keep = 3, warn } = this.#options;
    try {
      for (const step of (await stepsIn(folder)).slice(keep)) {
        if (step < (this.#saved ?? 0)) await removeFolder(this.#path(step));
      }
    } catch (error) {
      warn((error as Error).message);
    }
  }

  /**
   * Continues from a checkpoint of the same run.
   *
   * @throws Error naming the file and what does not fit this run
   */
  async restore(path: string): Promise<Position> {
    const { trainer, source, schedule, cells } = this.#run;
    const training = await inFile(path, TRAINING, async (file) => trainingOf(await readJson(file)));
    const { step, tokens, seconds } = training;
    for (const [name, target] of [
      [MODEL, cells],
      [OPTIMIZER, trainer.optimizer.state()],
    ] as const) {
      await inFile(path, name, async (file) => {
        setCells(target, (await readSafetensors(file)).tensors);
      });
    }
    await this.#restoreScaler(path);
    await inFile(path, TRAINING, async () => {
      source.restore(training.source);
      if (training.schedule !== null) schedule.restore?.(training.schedule);
      random.restore(training.random);
    });
    this.#saved = step;
    return { step, tokens, seconds };
  }

  /** A run may go on in f16 from another precision: its scale then begins where that of a new run does. */
  async #restoreScaler(path: string): Promise<void> {
    const { scaler } = this.#run.trainer;
    if (!scaler || !(await readdir(path)).includes(SCALER)) return;
    await inFile(path, SCALER, async (file) => {
      setCells(scaler.state(), (await readSafetensors(file)).tensors);
    });
  }
}

/**
 * The newest checkpoint of a folder that is whole; what stopped runs left unfinished is removed.
 *
 * @param warn told of each damaged one, and why it is passed over
 */
export async function newestCheckpoint(
  folder: string,
  warn: (message: string) => void,
): Promise<string | undefined> {
  await removeUnfinished(folder);
  return wholeCheckpoint(folder, warn);
}

/** The same, where nothing is removed: another run may be writing there. */
export async function wholeCheckpoint(
  folder: string,
  warn: (message: string) => void,
): Promise<string | undefined> {
  for (const step of await stepsIn(folder)) {
    const path = join(folder, `step-${step}`);
    const damage = await damageOf(path);
    if (damage === undefined) return path;
    warn(`checkpoint ${path} is damaged and passed over: ${damage}`);
  }
  return undefined;
}

/** The settings that a checkpoint was made with. */
export async function configOfCheckpoint(path: string): Promise<unknown> {
  return inFile(path, TRAINING, async (file) => trainingOf(await readJson(file)).config);
}

/** Newest first. */
async function stepsIn(folder: string): Promise<number[]> {
  const names = await readdir(folder).catch(() => []);
  const steps = names.flatMap((name) => /^step-(\d+)$/.exec(name)?.[1] ?? []).map(Number);
  return steps.sort((a, b) => b - a);
}

function trainingOf(json: unknown): Training {
  const { format } = (json ?? {}) as { format?: unknown };
  if (format === FORMAT) return json as Training;
  throw new Error(
    `format is ${JSON.stringify(format)}; expected ${FORMAT}: it was written by another version`,
  );
}

/** Says in which file an error was found. */
async function inFile<T>(
  folder: string,
  name: string,
  body: (path: string) => Promise<T>,
): Promise<T> {
  const path = join(folder, name);
  try {
    return await body(path);
  } catch (error) {
    const { message } = error as Error;
    if (message.includes(JSON.stringify(path))) throw error;
    throw new Error(`file ${JSON.stringify(path)}: ${message}`, { cause: error });
  }
}
