/**
 * Runs the tests that depend on the device on every device that is not the default here: `npm test`
 * has run all of them on that one. A line for each; what failed is shown in full.
 *
 *     npm run test:devices              all of them
 *     npm run test:devices -- wasm      those named: avx512, avx2, wasm, interpret
 */
import { spawnSync } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { nativeSupport } from '../src/device/index.ts';

interface Run {
  readonly name: string;
  readonly env: Readonly<Record<string, string>>;
  /** Paths of tests begin with one of these. */
  readonly tests: readonly string[];
  /** Also tests that name the devices they run on: the instructions of native are others. */
  readonly named?: boolean;
}

/** What computes with tensors, quick enough also for an interpreter. */
const TENSORS = ['test/tensor/', 'test/nn/', 'test/optim/'];
/** Programs as users run them. */
const MODELS = [
  'test/models/',
  'test/generate/',
  'test/train/train',
  'test/train/checkpoints',
  'test/train/precision',
  'test/train/memory',
];
/** The module by which tests name devices. */
const NAMES = '/device-names.ts';
const RUNS: readonly Run[] = [
  ...(['avx512', 'avx2'] as const).map((isa) => ({
    name: isa,
    env: { TERSOR_DEVICE: 'native', TERSOR_ISA: isa, TERSOR_TEST_DEVICES: 'native' },
    tests: [...TENSORS, ...MODELS, 'test/compile/', 'test/device/', 'test/fixtures/'],
    named: true,
  })),
  {
    name: 'wasm',
    env: { TERSOR_DEVICE: 'wasm' },
    tests: [...TENSORS, ...MODELS, 'test/cli/commands', 'test/cli/train.'],
  },
  { name: 'interpret', env: { TERSOR_DEVICE: 'interpret' }, tests: TENSORS },
];

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const support = nativeSupport();
const best = 'reason' in support ? 'wasm' : support.isa;

/** Why tests do not run on a device here; undefined: they do. */
function reasonAgainst(name: string): string | undefined {
  if (name === best) return 'the default here: npm test runs all on it';
  if (name === 'avx512' || name === 'avx2') {
    if ('reason' in support) return `not on this machine: ${support.reason}`;
    if (name === 'avx512') return 'not on this machine: its processor has no AVX-512';
  }
  return undefined;
}

/** Tests that name their devices have run on all of them under `npm test`. */
function testsOf({ tests, named }: Run): string[] {
  return globSync('test/**/*.test.ts', { cwd: root })
    .map((path) => path.replaceAll('\\', '/'))
    .filter((path) => tests.some((start) => path.startsWith(start)))
    .filter((path) => named || !readFileSync(join(root, path), 'utf8').includes(NAMES));
}

/** Runs its tests, and says how that ended; false: badly. */
function runTests(run: Run): boolean {
  const { name, env } = run;
  const { TERSOR_DEVICE: _device, TERSOR_ISA: _isa, ...rest } = process.env;
  const vitest = createRequire(import.meta.url).resolve('vitest/package.json');
  const start = performance.now();
  const { status, stdout, stderr, error } = spawnSync(
    process.execPath,
    [join(dirname(vitest), 'vitest.mjs'), 'run', ...testsOf(run)],
    { cwd: root, env: { ...rest, ...env }, encoding: 'utf8', maxBuffer: 2 ** 28 },
  );
  if (error) throw error;
  if (status !== 0) console.log(stdout + stderr);
  // The last line of the output counts the tests.
  const count = stdout.trimEnd().split('\n').at(-1) ?? '';
  const seconds = Math.round((performance.now() - start) / 1000);
  console.log(`${name.padEnd(10)} ${count} (${seconds} s)`);
  return status === 0;
}

const wanted = process.argv.slice(2);
const names = RUNS.map(({ name }) => name);
const unknown = wanted.find((name) => !names.includes(name));
if (unknown !== undefined) {
  throw new RangeError(`test:devices: ${unknown} is not a device; expected ${names.join(', ')}`);
}
for (const run of RUNS) {
  const { name } = run;
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  // Who names a device wants its tests now.
  const reason = wanted.length > 0 && name === best ? undefined : reasonAgainst(name);
  if (reason !== undefined) console.log(`${name.padEnd(10)} ${reason}`);
  else if (!runTests(run)) process.exitCode = 1;
}
