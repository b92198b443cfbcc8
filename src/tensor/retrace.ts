import { debug, debugging } from '../base/env.ts';

/** What a trace is for as text: a name and what stands there, for each argument and each flag. */
export type Signature = readonly (readonly [name: string, what: string])[];

/** How what a new trace is for differs from that of an earlier one. */
function differences(signature: Signature, earlier: Signature): string[] {
  const before = new Map(earlier);
  const now = new Map(signature);
  const changed = signature.flatMap(([name, what]) => {
    const was = before.get(name);
    if (was === what) return [];
    return [`${name} is ${what}, ${was === undefined ? 'new' : `was ${was}`}`];
  });
  const gone = earlier.flatMap(([name]) => (now.has(name) ? [] : [`${name} is gone`]));
  return [...changed, ...gone];
}

/** Says under TERSOR_DEBUG=1 why a jitted function is traced again. */
export class TraceLog {
  readonly #name: string;
  readonly #capacity: number;
  readonly #seen: Signature[] = [];
  #warned = false;

  /** @param capacity programs that the function keeps */
  constructor(name: string, capacity: number) {
    this.#name = name;
    this.#capacity = capacity;
  }

  /** How often the function was traced. */
  traces = 0;

  add(signature: Signature): void {
    this.traces++;
    if (debugging(1) && this.traces > 1) this.#tell(signature);
    this.#seen.push(signature);
    if (this.#seen.length > this.#capacity) this.#seen.shift();
  }

  #tell(signature: Signature): void {
    // The most similar of the earlier calls gives the shortest reason.
    const reasons = this.#seen.map((earlier) => differences(signature, earlier));
    const [nearest] = reasons.sort((a, b) => a.length - b.length);
    const reason = nearest.join('; ') || 'its program was no longer kept';
    debug(`jit: trace ${this.traces} of ${this.#name}: ${reason}`);
    if (this.traces <= this.#capacity || this.#warned) return;
    this.#warned = true;
    debug(
      `jit: ${this.#name} was traced ${this.traces} times and keeps ${this.#capacity} programs: ` +
        'the least recently used go, and are compiled again when they are needed; ' +
        'bind() sizes that change, or pad to few shapes',
    );
  }
}
