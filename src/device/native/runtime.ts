import type { CodeMemory } from './code-memory.ts';
import { clockCode } from './cpu.ts';
import type { InstalledThreadCode } from './pool.ts';
import type { System } from './system.ts';
import { threadCode } from './thread-code.ts';

/** `run` of a program: table, thread, threads, first step, step to stop before. */
export type RunFunction = (
  table: number,
  thread: number,
  threads: number,
  from: number,
  to: number,
) => number;

/** Machine code as functions. What is here stays until the process ends: threads may be in it. */
export class Runtime {
  readonly system: System;
  /** For the code of programs, too; who installs a piece removes it. */
  readonly code: CodeMemory;
  readonly #runType: unknown;
  readonly #kernelType: unknown;
  readonly #clockType: unknown;
  #threads: InstalledThreadCode | undefined;

  constructor(system: System, code: CodeMemory) {
    this.system = system;
    this.code = code;
    const { koffi } = system;
    const [p, i] = ['uintptr_t', 'int32_t'];
    this.#runType = koffi.proto(i, [p, i, i, i, i]);
    this.#kernelType = koffi.proto('void', [p]);
    this.#clockType = koffi.proto('uint64_t', []);
  }

  runAt(address: number): RunFunction {
    return this.system.koffi.decode(address, this.#runType) as RunFunction;
  }

  /** A function of one address that returns nothing. */
  callAt(address: number): (argument: number) => void {
    return this.system.koffi.decode(address, this.#kernelType) as (argument: number) => void;
  }

  /** What threads of pools run. */
  get threads(): InstalledThreadCode {
    if (!this.#threads) {
      const { bytes, main, post } = threadCode();
      const address = this.code.install(bytes);
      const clock = this.code.install(clockCode());
      this.#threads = {
        main: address + main,
        post: this.callAt(address + post),
        clock: this.system.koffi.decode(clock, this.#clockType) as () => number | bigint,
      };
    }
    return this.#threads;
  }
}
