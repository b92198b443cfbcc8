import { parseArgs } from 'node:util';
import * as fc from 'fast-check';
import { anyGraphRecipe } from '../support/graph-recipes.ts';
import { anyPackedCase } from '../support/packed-case.ts';
import { anyRecipe } from '../support/random-kernel.ts';
import { checkGraph } from './check-graph.ts';
import { checkKernel } from './check-kernel.ts';
import { checkPacked } from './check-packed.ts';
import { checkSmallFloats } from './check-small-floats.ts';

const USAGE = `npm run fuzz -- [--seconds N] [--cases N] [--kind graphs|floats|packed|kernels|all] [--seed N] [--path P]

Compares random graphs, packed products and kernels between the interpreters and WebAssembly, with one thread
and with several, fused and unfused. Stops at the first fault, after --cases cases of each kind, or
when --seconds (default 60) are over, and prints the seed; --seed and --path replay a fault.`;

const KINDS = {
  kernels: fc.asyncProperty(
    anyRecipe(['f32', 'i32', 'u32']),
    fc.constantFrom('scalar' as const, 'vector' as const, 'masked' as const),
    async (recipe, form) => {
      fc.pre(await checkKernel(recipe, form));
    },
  ),
  graphs: fc.asyncProperty(anyGraphRecipe, fc.nat({ max: 999 }), checkGraph),
  packed: fc.asyncProperty(anyPackedCase, checkPacked),
  floats: fc.asyncProperty(
    anyGraphRecipe,
    fc.constantFrom('f16' as const, 'bf16' as const, 'f8e4m3' as const, 'f8e5m2' as const),
    fc.nat({ max: 999 }),
    checkSmallFloats,
  ),
};

type Kind = keyof typeof KINDS;

function number(name: string, text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise;
  const value = Number(text);
  if (Number.isFinite(value)) return value;
  throw new TypeError(`--${name} is ${text}; expected a number`);
}

async function fuzz(
  kind: Kind,
  options: { seconds: number; cases: number; seed: number; path: string | undefined },
): Promise<boolean> {
  const { seconds, cases, seed, path } = options;
  const start = performance.now();
  const result = await fc.check(KINDS[kind] as fc.IAsyncProperty<unknown[]>, {
    seed,
    numRuns: cases,
    maxSkipsPerRun: 1000,
    interruptAfterTimeLimit: seconds * 1000,
    markInterruptAsFailure: false,
    ...(path === undefined ? {} : { path, endOnFailure: true }),
  });
  const time = ((performance.now() - start) / 1000).toFixed(0);
  console.log(`${kind}: ${result.numRuns} cases in ${time} s, seed ${seed}`);
  if (!result.failed) return true;
  const replay = `npm run fuzz -- --kind ${kind} --seed ${seed} --path ${result.counterexamplePath}`;
  console.error(`${fc.defaultReportMessage(result)}\n\nReplay: ${replay}`);
  return false;
}

const { values } = parseArgs({
  options: {
    seconds: { type: 'string' },
    cases: { type: 'string' },
    kind: { type: 'string', default: 'all' },
    seed: { type: 'string' },
    path: { type: 'string' },
    help: { type: 'boolean', short: 'h' },
  },
});
if (values.help) {
  console.log(USAGE);
} else {
  const kinds = values.kind === 'all' ? (Object.keys(KINDS) as Kind[]) : [values.kind as Kind];
  for (const kind of kinds) {
    if (Object.hasOwn(KINDS, kind)) continue;
    throw new TypeError(`--kind is ${kind}; expected ${Object.keys(KINDS).join(', ')} or all`);
  }
  const options = {
    seconds: number('seconds', values.seconds, 60) / kinds.length,
    cases: number('cases', values.cases, Number.MAX_SAFE_INTEGER),
    seed: number('seed', values.seed, Date.now() % 2 ** 31),
    path: values.path,
  };
  for (const kind of kinds) {
    if (!(await fuzz(kind, options))) process.exitCode = 1;
  }
}
