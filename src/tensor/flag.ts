import { show } from '../base/errors.ts';
import { isTracing } from './cell.ts';

/** What a traced function has read of each flag. */
export type FlagReadings = ReadonlyMap<Flag<unknown>, unknown>;

let readings: Map<Flag<unknown>, unknown> | undefined;

/** @internal Runs `body` and notes the flags that it reads. */
export function withFlagReadings<T>(into: Map<Flag<unknown>, unknown>, body: () => T): T {
  const outer = readings;
  readings = into;
  try {
    return body();
  } finally {
    readings = outer;
  }
}

/** @internal True where a program traced with these values serves the present ones. */
export function flagsStillHold(read: FlagReadings): boolean {
  for (const [flag, value] of read) if (!Object.is(flag.present, value)) return false;
  return true;
}

/**
 * A value (compared by identity) by which functions choose what they compute: training or evaluation. Inside a jitted
 * step its value is a constant, and the program serves calls with that value alone: after a change
 * the step is traced again, or the program of the other value runs.
 */
export class Flag<T> {
  /** For messages. */
  readonly name: string;
  #value: T;

  constructor(value: T, name = 'flag') {
    this.#value = value;
    this.name = name;
  }

  get value(): T {
    readings?.set(this, this.#value);
    return this.#value;
  }

  /** @internal The value, without a note of its reading. */
  get present(): T {
    return this.#value;
  }

  /** @throws TypeError for a change inside a jitted step, which a run of its program would not make */
  set(value: T): void {
    if (Object.is(value, this.#value)) return;
    if (isTracing()) {
      throw new TypeError(
        `${this.name}: set to ${show(value)} inside a jitted function; set it before the function is called`,
      );
    }
    this.#value = value;
  }
}
