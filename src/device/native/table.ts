import type { RunPlan } from '../../ir/program.ts';
import { tableSlots } from '../../ir/program.ts';

/** What a run finds at the address that it is given: a table, and the counters of shared loops. */
export class RunTable {
  readonly #plan: RunPlan;
  readonly slots: ReturnType<typeof tableSlots>;
  /** Entries of 64 bits in halves, lower first; the counters, zeros, behind them. */
  readonly #halves: Uint32Array;
  readonly #entries: number;

  constructor(plan: RunPlan, sharedLoops: number) {
    this.#plan = plan;
    this.slots = tableSlots(plan);
    this.#entries = this.slots.count + 1;
    this.#halves = new Uint32Array(2 * this.#entries + sharedLoops);
  }

  get bytes(): number {
    return this.#halves.byteLength;
  }

  /** Bytes to copy to the table's address before a run; counters are cleared by that. */
  get content(): Uint32Array {
    return this.#halves;
  }

  get countersOffset(): number {
    return 8 * this.#entries;
  }

  /** An entry, an address or a signed number. */
  set(index: number, value: number): void {
    this.#halves[2 * index] = value;
    this.#halves[2 * index + 1] = Math.floor(value / 2 ** 32);
  }

  get(index: number): number {
    const high = this.#halves[2 * index + 1] | 0;
    return high * 2 ** 32 + this.#halves[2 * index];
  }

  setVars(values: ReadonlyMap<string, number>): void {
    this.#plan.vars.forEach((v, i) => {
      this.set(this.slots.vars + i, values.get(v.name) ?? v.max);
    });
  }
}
