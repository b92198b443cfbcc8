import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { DeviceName } from '../tensor/index.ts';
import type { Bench, BenchOptions } from './bench.ts';
import type { Marks } from './compile-child.ts';
import { type Measurement, measured } from './measurement.ts';

const CHILD = fileURLToPath(new URL('compile-child.ts', import.meta.url));
/** The library as it is installed, and as it lies in the repository. */
const ENTRIES: readonly (readonly [name: string, url: URL])[] = [
  ['dist', new URL('../../dist/index.js', import.meta.url)],
  ['src', new URL('../index.ts', import.meta.url)],
];

/** Milliseconds that the parts may take: the bars of the project. */
const BARS: ReadonlyMap<string, number> = new Map([
  ['total', 2000],
  ['from the disk cache: trace, key, load', 100],
  ['import of dist', 150],
]);
/** A process takes seconds, and what is cold needs no warming: fewer samples than elsewhere. */
const MOST_SAMPLES = 5;

const execute = promisify(execFile);

/** The compiler's own line about a program: its steps, and milliseconds of its two parts. */
const SUMMARY = /compiled (\d+) steps.*\(schedule and lower (\d+) ms, emit (\d+) ms\)/g;

/** Milliseconds of each part of a cold start, in their order. */
export type Parts = ReadonlyMap<string, number>;

/** What the process of a first step is given. */
export interface ColdStart {
  readonly device: DeviceName;
  readonly threads: number;
  /** The folder of compiled programs, or 'off'. */
  readonly cache: string;
}

/** Runs the reference training step once in a fresh process. */
async function firstStep({ device, threads, cache }: ColdStart) {
  const { stdout, stderr } = await execute(process.execPath, [CHILD, device], {
    env: {
      ...process.env,
      TERSOR_DEBUG: '1',
      TERSOR_CACHE: cache,
      TERSOR_THREADS: String(threads),
    },
    maxBuffer: 2 ** 26,
  });
  return { marks: JSON.parse(stdout) as Marks, stderr };
}

/** The first step of a process that finds no compiled programs. */
async function coldStart(start: ColdStart): Promise<Parts> {
  const { marks, stderr } = await firstStep(start);
  const parts = new Map([['total', marks.done]]);
  parts.set('trace', marks.traced);
  for (const [name, time] of compilerTimes(stderr)) parts.set(name, time);
  parts.set('engine load', marks.loaded - marks.compiled);
  parts.set('first run', marks.done - marks.loaded);
  parts.set('before: start of the process, modules, weights', marks.ready);
  return parts;
}

/** The first step of a process that finds the programs of one before it. */
async function warmStart(start: ColdStart): Promise<Parts> {
  const { marks } = await firstStep(start);
  return new Map([
    ['from the disk cache: trace, key, load', marks.loaded],
    ['from the disk cache: total', marks.done],
    ['from the disk cache: before', marks.ready],
  ]);
}

/** Times of the largest program in the compiler's messages; not every device has a compiler. */
export function compilerTimes(text: string): Map<string, number> {
  const programs = [...text.matchAll(SUMMARY)].map((match) => match.slice(1).map(Number));
  if (programs.length === 0) return new Map();
  const [, planning, emitting] = programs.reduce((a, b) => (b[0] > a[0] ? b : a));
  return new Map([
    ['schedule and lower', planning],
    ['emit', emitting],
  ]);
}

const IMPORT = `const start = performance.now();
await import(process.argv[1]);
console.log(performance.now() - start);`;

/** Milliseconds of `import 'tersor'` in a fresh process; dist/ is left out where it is not built. */
export async function importTimes(): Promise<Parts> {
  const parts = new Map<string, number>();
  for (const [name, url] of ENTRIES) {
    if (!existsSync(url)) continue;
    const args = ['--input-type=module', '--eval', IMPORT, url.href];
    parts.set(`import of ${name}`, Number((await execute(process.execPath, args)).stdout));
  }
  return parts;
}

/** One sample of everything: a start without programs, one with those of the first, an import. */
async function sample(device: DeviceName, threads: number): Promise<Parts> {
  const cache = await mkdtemp(join(tmpdir(), 'tersor-bench-'));
  try {
    const start: ColdStart = { device, threads, cache };
    const cold = await coldStart(start);
    // Interpreters run graphs or kernels: of them nothing is kept.
    const warm: Parts = device === 'wasm' ? await warmStart(start) : new Map();
    return new Map([...cold, ...warm, ...(await importTimes())]);
  } finally {
    await rm(cache, { recursive: true, force: true });
  }
}

async function* run({ device, timing, threads }: BenchOptions): AsyncGenerator<Measurement> {
  const samples: Parts[] = [];
  for (let i = 0; i < Math.min(timing.rounds, MOST_SAMPLES); i++) {
    samples.push(await sample(device, threads));
  }
  for (const part of samples[0].keys()) {
    const name = part.startsWith('import') ? part : `reference step, ${part}`;
    const labels = { bench: 'compile', case: name, device, threads, unit: 'ms' };
    const values = samples.map((parts) => parts.get(part) ?? 0);
    yield measured(labels, values, BARS.get(part));
  }
}

export const COMPILE: Bench = {
  name: 'compile',
  summary: 'the first training step of the reference llama in a fresh process, and its parts',
  run,
};
