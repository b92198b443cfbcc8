import { show } from '../base/errors.ts';

/** What a traced function has read of each flag. */
export type FlagReadings = ReadonlyMap<Flag<unknown>, unknown>;

type Readings = Map<Flag<unknown>, unknown>;

/** Of the trace that is running, if there is one. */
let readings: Readings | undefined;

/** @internal Runs `body` and notes the flags that it reads. */
export function withFlagReadings<T>(into: Readings, body: () => T): T {
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
  /** The trace that gave the flag its present value: to that trace it is no reading from outside. */
  #giver: Readings | undefined;

  constructor(value: T, name = 'flag') {
    this.#value = value;
    this.name = name;
  }

  get value(): T {
    if (readings !== this.#giver) readings?.set(this, this.#value);
    return this.#value;
  }

  /** @internal The value, without a note of its reading. */
  get present(): T {
    return this.#value;
  }

  /** @throws TypeError for a change inside a jitted step, which a run of its program would not make */
  set(value: T): void {
    if (Object.is(value, this.#value)) return;
    if (readings) {
      throw new TypeError(
        `${this.name}: set to ${show(value)} inside a jitted function; set it before the function is called`,
      );
    }
    this.#value = value;
  }

  /**
   * Runs `body` with another value, which ends with it. Inside a jitted step, too: the step itself has
   * given the value then, so its program does not depend on the one outside.
   */
  during<R>(value: T, body: () => R): R {
    const [outer, giver] = [this.#value, this.#giver];
    this.#value = value;
    this.#giver = readings;
    try {
      return body();
    } finally {
      this.#value = outer;
      this.#giver = giver;
    }
  }
}
