import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { LlamaConfig } from '../models/index.ts';
import type { QuantSchemeName } from '../tensor/functions/index.ts';
import { withBars } from './bars.ts';
import type { Bench, BenchOptions } from './bench.ts';
import { type GgufScheme, randomLlamaFile } from './gguf/llama.ts';
import { LLAMA_134M } from './llama-sizes.ts';
import { type Bar, type Measurement, measurement, SUBJECT, withMore } from './measurement.ts';
import { packedLlamaFolder } from './packed-folder.ts';
import { ifThere } from './peers/absent.ts';
import { LLAMA_CPP } from './peers/llama-cpp.ts';
import type { FirstTokenTask } from './peers/llama-cpp-first-token.ts';
import { llamaCppFolder } from './peers/llama-cpp-library.ts';

const PEER = fileURLToPath(new URL('peers/llama-cpp-first-token.ts', import.meta.url));
/** The command as it is installed, and as it lies in the repository. */
const COMMANDS = ['../../dist/cli/launch.js', '../cli/launch.js'];

export interface FirstTokenCase {
  readonly config: LlamaConfig;
  readonly scheme: QuantSchemeName;
  /** The blocks of llama.cpp with as many bits; undefined: it takes no part. */
  readonly peer?: GgufScheme;
}

const CASE: FirstTokenCase = { config: LLAMA_134M, scheme: 'int4-g32', peer: 'Q4_0' };
const PROMPT = 'Once upon a time';
const BARS: readonly Bar[] = [{ of: LLAMA_CPP, atMost: 0.7 }];
/** A process takes a part of a second, and what is cold needs no warming: fewer samples. */
const MOST_SAMPLES = 7;

interface Started {
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** Seconds from the start of a process until it writes the first piece; waits for its end. */
function untilOutput({ args, env = {} }: Started): Promise<number> {
  return new Promise((resolve, reject) => {
    const start = performance.now();
    const child = spawn(process.execPath, args, {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let first: number | undefined;
    let errors = '';
    child.stdout.on('data', () => {
      first ??= (performance.now() - start) / 1000;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      errors = (errors + text).slice(-4096);
    });
    child.on('error', reject).on('close', (code) => {
      if (code === 0 && first !== undefined) resolve(first);
      else reject(new Error(`first-token: ${args[0]} ended with ${code}: ${errors.trim()}`));
    });
  });
}

/**
 * From the start of a process to its first token, weights on disk and in the system's cache of files.
 * Ours is the command `generate`, with its compiled programs kept on disk, and once without.
 */
export async function* runFirstToken(
  { device, timing, threads }: BenchOptions,
  { config, scheme, peer }: FirstTokenCase = CASE,
): AsyncGenerator<Measurement> {
  const folder = await packedLlamaFolder(config, scheme, device);
  const context = config.max_position_embeddings;
  const limits = ['--max-tokens', '1', '--temperature', '0', '--context', String(context)];
  const env = { TERSOR_DEVICE: device, TERSOR_THREADS: String(threads) };
  const ours = COMMANDS.map((path) => fileURLToPath(new URL(path, import.meta.url)))
    .filter(existsSync)
    .map((command, i) => ({
      name: i === 0 ? SUBJECT : 'from src',
      args: [command, 'generate', folder, PROMPT, ...limits, '--json'],
      env,
    }));
  const contestants: (Started & { readonly name: string })[] = [...ours];
  const file = peer && (await ifThere(() => llamaCppFolder() && randomLlamaFile(config, peer)));
  if (file) {
    const task: FirstTokenTask = { file, threads, context, prompt: PROMPT };
    contestants.push({ name: LLAMA_CPP, args: [PEER, JSON.stringify(task)] });
  }
  const cold = await untilOutput({ ...ours[0], env: { ...env, TERSOR_CACHE: 'off' } });
  // The first of each fills the caches: programs, and files of the system.
  for (const contestant of contestants) await untilOutput(contestant);
  const seconds = new Map(contestants.map(({ name }): [string, number[]] => [name, []]));
  for (let round = 0; round < Math.min(timing.rounds, MOST_SAMPLES); round++) {
    for (const contestant of contestants) {
      seconds.get(contestant.name)?.push(await untilOutput(contestant));
    }
  }
  const title = `${scheme} llama, ${config.num_hidden_layers} layers, d ${config.hidden_size}`;
  const labels = { bench: 'first-token', case: title, device, threads, unit: 'ms' };
  const result = measurement(labels, seconds, (s) => s * 1000);
  yield withMore(withBars(result, peer ? BARS : []), { 'without kept programs': cold * 1000 });
}

export const FIRST_TOKEN: Bench = {
  name: 'first-token',
  summary: 'from the start of a process to the first token, beside llama.cpp',
  run: (options) => runFirstToken(options),
};
