import type { TrainingProgress } from '../progress.ts';

/** Writes down what a run does. */
export interface Logger {
  /** For warnings. */
  readonly name: string;
  log(progress: TrainingProgress): void | Promise<void>;
  close(): void | Promise<void>;
}

/**
 * Several loggers as one that never fails: one that does is told of once and left out from then on,
 * for a run is worth more than its log.
 */
export class Loggers {
  #loggers: readonly Logger[];
  readonly #warn: (message: string) => void;
  /** Records are written one after the other, beside the training. */
  #queue: Promise<void> = Promise.resolve();

  constructor(loggers: readonly Logger[], warn: (message: string) => void) {
    this.#loggers = loggers;
    this.#warn = warn;
  }

  log(progress: TrainingProgress): void {
    this.#each((logger) => logger.log(progress));
  }

  /** Waits for what is still to be written. */
  async close(): Promise<void> {
    this.#each((logger) => logger.close());
    await this.#queue;
  }

  #each(body: (logger: Logger) => void | Promise<void>): void {
    this.#queue = this.#queue.then(async () => {
      for (const logger of this.#loggers) {
        try {
          await body(logger);
        } catch (error) {
          this.#loggers = this.#loggers.filter((other) => other !== logger);
          this.#warn(
            `${logger.name} stopped: ${(error as Error).message}. Training goes on without it`,
          );
        }
      }
    });
  }
}
