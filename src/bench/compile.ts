import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { DeviceName } from '../tensor/index.ts';
import type { Bench, BenchOptions } from './bench.ts';
import type { Marks } from './compile-child.ts';
import { type Measurement, measured } from './measurement.ts';

const CHILD = fileURLToPath(new URL('compile-child.ts', import.meta.url));
/** What the first step may take, in milliseconds: the bar of the project. */
const BAR = 2000;
/** A process takes seconds, and what is cold needs no warming: fewer samples than elsewhere. */
const MOST_SAMPLES = 5;

const execute = promisify(execFile);

/** The compiler's own line about a program: its steps, and milliseconds of its two parts. */
const SUMMARY = /compiled (\d+) steps.*\(schedule and lower (\d+) ms, emit (\d+) ms\)/g;

/** Milliseconds of each part of a cold start, in their order. */
export type Parts = ReadonlyMap<string, number>;

/** Runs the reference training step once in a fresh process. */
export async function coldStart(device: DeviceName): Promise<Parts> {
  const { stdout, stderr } = await execute(process.execPath, [CHILD, device], {
    env: { ...process.env, TERSOR_DEBUG: '1' },
    maxBuffer: 2 ** 26,
  });
  const marks = JSON.parse(stdout) as Marks;
  const parts = new Map([['total', marks.done]]);
  parts.set('trace', marks.traced);
  for (const [name, time] of compilerTimes(stderr)) parts.set(name, time);
  parts.set('engine load', marks.loaded - marks.compiled);
  parts.set('first run', marks.done - marks.loaded);
  parts.set('before: start of the process, modules, weights', marks.ready);
  return parts;
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

async function* run({ device, timing }: BenchOptions): AsyncGenerator<Measurement> {
  const samples: Parts[] = [];
  for (let i = 0; i < Math.min(timing.rounds, MOST_SAMPLES); i++) {
    samples.push(await coldStart(device));
  }
  for (const part of samples[0].keys()) {
    const labels = {
      bench: 'compile',
      case: `reference step, ${part}`,
      device,
      threads: 1,
      unit: 'ms',
    };
    const values = samples.map((sample) => sample.get(part) ?? 0);
    yield measured(labels, values, part === 'total' ? BAR : undefined);
  }
}

export const COMPILE: Bench = {
  name: 'compile',
  summary: 'the first training step of the reference llama in a fresh process, and its parts',
  run,
};
