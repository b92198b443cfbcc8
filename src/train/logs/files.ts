import { appendFile, readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { ensureFolder, writeFileAtomic } from '../../io/index.ts';
import type { TrainingProgress } from '../progress.ts';
import type { Logger } from './logger.ts';
import { scalarRecord, versionRecord } from './tensorboard.ts';

/** Milliseconds for which records are gathered before they are written. */
const PATIENCE = 1000;

/** Appends to a file, a second's records at once. */
class Appender {
  readonly #path: string;
  #parts: (string | Uint8Array)[] = [];
  #last = performance.now();

  constructor(path: string) {
    this.#path = path;
  }

  async add(part: string | Uint8Array): Promise<void> {
    this.#parts.push(part);
    if (performance.now() - this.#last >= PATIENCE) await this.flush();
  }

  async flush(): Promise<void> {
    const parts = this.#parts.map((part) => Buffer.from(part as string));
    this.#parts = [];
    this.#last = performance.now();
    if (parts.length > 0) await appendFile(this.#path, Buffer.concat(parts));
  }
}

/** A line of JSON for every step: `metrics.jsonl`. */
export class JsonLinesLogger implements Logger {
  readonly name: string;
  readonly #appender: Appender;

  constructor(path: string) {
    this.name = `the log ${path}`;
    this.#appender = new Appender(path);
  }

  /** Forgets the steps after `step`, which a resumed run does again. */
  static async continueFrom(path: string, step: number): Promise<JsonLinesLogger> {
    const kept = (await metricsIn(path)).filter((line) => line.step <= step);
    await writeFileAtomic(path, kept.map((line) => `${JSON.stringify(line)}\n`).join(''));
    return new JsonLinesLogger(path);
  }

  log(progress: TrainingProgress): Promise<void> {
    return this.#appender.add(`${JSON.stringify(progress)}\n`);
  }

  close(): Promise<void> {
    return this.#appender.flush();
  }
}

/** The steps in a log; none if there is no file. A last line that was cut off is left out. */
export async function metricsIn(path: string): Promise<TrainingProgress[]> {
  const text = await readFile(path, 'utf8').catch(() => '');
  return text.split('\n').flatMap((line) => {
    try {
      const record = JSON.parse(line);
      return typeof record.step === 'number' ? [record as TrainingProgress] : [];
    } catch {
      return [];
    }
  });
}

/** An event file that TensorBoard reads: point it at the folder. */
export class TensorBoardLogger implements Logger {
  readonly name = 'the TensorBoard log';
  readonly #folder: string;
  #appender: Appender | undefined;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async log(progress: TrainingProgress): Promise<void> {
    const wallTime = Date.now() / 1000;
    this.#appender ??= await this.#open(wallTime);
    const { step, loss, lr, gradNorm, tokensPerSecond, memoryBytes, validationLoss } = progress;
    const scalars = {
      loss,
      lr,
      grad_norm: gradNorm,
      tokens_per_second: tokensPerSecond,
      memory_mib: memoryBytes / 2 ** 20,
      ...(progress.lossScale !== undefined && { loss_scale: progress.lossScale }),
      ...(progress.skippedSteps !== undefined && { skipped_steps: progress.skippedSteps }),
      ...(progress.gflops !== undefined && { gflops: progress.gflops }),
      ...(validationLoss !== undefined && { validation_loss: validationLoss }),
    };
    await this.#appender.add(scalarRecord({ wallTime, step, scalars }));
  }

  async #open(wallTime: number): Promise<Appender> {
    await ensureFolder(this.#folder);
    const name = `events.out.tfevents.${Math.floor(wallTime)}.${hostname()}.${process.pid}`;
    const appender = new Appender(join(this.#folder, name));
    await appender.add(versionRecord(wallTime));
    return appender;
  }

  async close(): Promise<void> {
    await this.#appender?.flush();
  }
}
