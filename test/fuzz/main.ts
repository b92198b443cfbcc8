import { closeSync, openSync, writeSync } from 'node:fs';
import { parseArgs } from 'node:util';
import * as fc from 'fast-check';
import { KINDS } from './kinds.ts';
import { supervise } from './supervise.ts';

const USAGE = `npm run fuzz -- [--device wasm|native] [--isa avx2|avx512] [--kind ${Object.keys(KINDS.native).join('|')}|all]
  [--seconds N] [--cases N] [--seed N] [--path P]

Compares random kernels and graphs, products and attentions between the interpreters and generated code:
WebAssembly (default), with one thread and with several, fused and unfused; or x86-64, for all instructions
of this machine or for those of --isa, with arrays between pages that cannot be accessed. Machine code runs
in processes of their own; a crash is reported with the kernel. Stops at the first fault, after --cases
cases of each kind, or when --seconds (default 60) are over, and prints the seed; --seed and --path
replay a fault.`;

/** Cases of one process: memory of compiled code that is gone is not given back before its end. */
const BATCH = 20_000;

function number(name: string, text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise;
  const value = Number(text);
  if (Number.isFinite(value)) return value;
  throw new TypeError(`--${name} is ${text}; expected a number`);
}

function choice<T extends string>(name: string, text: string | undefined, of: readonly T[]): T {
  const found = of.find((x) => x === text);
  if (found === undefined) throw new TypeError(`--${name} is ${text}; expected ${of.join(', ')}`);
  return found;
}

interface Wish {
  readonly device: keyof typeof KINDS;
  readonly kind: string;
  readonly seconds: number;
  readonly cases: number;
  readonly seed: number;
  readonly path: string | undefined;
}

/** Runs cases here. @param worker a file for the number of the present case */
async function fuzz(wish: Wish, worker: string | undefined): Promise<boolean> {
  const { device, kind, seconds, cases, seed, path } = wish;
  const start = performance.now();
  const property = KINDS[device][kind]();
  if (worker !== undefined && path === undefined) writeNumbers(property, worker);
  const result = await fc.check(property, {
    seed,
    numRuns: cases,
    maxSkipsPerRun: 1000,
    interruptAfterTimeLimit: seconds * 1000,
    markInterruptAsFailure: false,
    // A replay is one case, whether it fails or not.
    ...(path === undefined ? {} : { path, endOnFailure: true, numRuns: 1 }),
  });
  const time = ((performance.now() - start) / 1000).toFixed(0);
  console.log(`${kind}: ${result.numRuns} cases in ${time} s, seed ${seed}`);
  // Time that is over before the first case is no fault.
  if (!result.failed || (result.interrupted && result.counterexample === null)) return true;
  const on = device === 'native' ? ' --device native' : '';
  const isa = process.env.TERSOR_ISA ? ` --isa ${process.env.TERSOR_ISA}` : '';
  const replay = `npm run fuzz --${on} --kind ${kind} --seed ${seed} --path ${result.counterexamplePath}${isa}`;
  console.error(
    `${fc.defaultReportMessage(result)}\n${String(result.errorInstance)}\n\nReplay: ${replay}`,
  );
  return false;
}

/** Before each case its number goes to a file, where it stays when the process crashes. */
function writeNumbers(property: fc.IAsyncProperty<unknown[]>, file: string): void {
  const run = property.run.bind(property);
  const descriptor = openSync(file, 'w');
  let next = 0;
  property.run = (value) => {
    writeSync(descriptor, `${String(next++).padStart(12)}\n`, 0);
    return run(value);
  };
  process.on('exit', () => closeSync(descriptor));
}

/** Batches in processes of their own, one after the other. */
async function fuzzApart(wish: Wish, isa: string | undefined): Promise<boolean> {
  const end = performance.now() + wish.seconds * 1000;
  const environment: Record<string, string> = isa === undefined ? {} : { TERSOR_ISA: isa };
  for (let done = 0; done < wish.cases; done += BATCH) {
    const seconds = (end - performance.now()) / 1000;
    if (seconds <= 0) return true;
    const cases = Math.min(BATCH, wish.cases - done);
    const batch = { kind: wish.kind, seed: wish.seed + done / BATCH, cases, seconds };
    if (!(await supervise(batch, environment))) return false;
  }
  return true;
}

const { values } = parseArgs({
  options: {
    device: { type: 'string', default: 'wasm' },
    isa: { type: 'string' },
    seconds: { type: 'string' },
    cases: { type: 'string' },
    kind: { type: 'string', default: 'all' },
    seed: { type: 'string' },
    path: { type: 'string' },
    worker: { type: 'string' },
    help: { type: 'boolean', short: 'h' },
  },
});
if (values.help) {
  console.log(USAGE);
} else {
  const device = choice('device', values.device, ['wasm', 'native'] as const);
  const all = Object.keys(KINDS[device]);
  const kinds = values.kind === 'all' ? all : [choice('kind', values.kind, all)];
  const { isa, worker, path } = values;
  if (isa !== undefined) {
    choice('isa', isa, ['avx2', 'avx512']);
    process.env.TERSOR_ISA = isa;
  }
  for (const kind of kinds) {
    const wish = {
      device,
      kind,
      seconds: number('seconds', values.seconds, 60) / kinds.length,
      cases: number('cases', values.cases, Number.MAX_SAFE_INTEGER),
      seed: number('seed', values.seed, Date.now() % 2 ** 31),
      path,
    };
    // A replay may be looked at by a debugger: it runs here.
    const here = device === 'wasm' || worker !== undefined || path !== undefined;
    if (!(await (here ? fuzz(wish, worker) : fuzzApart(wish, isa)))) process.exitCode = 1;
  }
}
// Threads of devices would keep the process.
process.exit();
