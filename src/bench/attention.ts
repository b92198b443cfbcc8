import type { Code } from '../ir/program.ts';
import { scaledDotProductAttention } from '../tensor/functions/index.ts';
import {
  type DeviceName,
  device as deviceOf,
  jit,
  random,
  type Tensor,
  vjp,
} from '../tensor/index.ts';
import type { Bench, BenchOptions } from './bench.ts';
import { median, race, repeating } from './harness.ts';
import { type Measurement, measured, SUBJECT, withMore } from './measurement.ts';

/** Queries, and as many keys. */
const LENGTHS = [256, 512, 1024, 2048, 4096];
/** Batch times heads. */
const HEADS = 4;
const WIDTH = 64;

interface Variant {
  readonly isCausal: boolean;
  readonly backward: boolean;
}

const VARIANTS: readonly Variant[] = [
  { isCausal: false, backward: false },
  { isCausal: true, backward: false },
  { isCausal: false, backward: true },
  { isCausal: true, backward: true },
];

function title({ isCausal, backward }: Variant, length: number): string {
  const pass = backward ? 'forward and backward' : 'forward';
  return `f32 ${HEADS}x${length}x${WIDTH}${isCausal ? ' causal' : ''}, ${pass}`;
}

/** Collects the code that a device loads, while `work` runs. */
async function codeLoaded(name: DeviceName, work: () => Promise<void>): Promise<Code[]> {
  const device = deviceOf(name);
  const { load } = device;
  const codes: Code[] = [];
  device.load = (code) => {
    codes.push(code);
    return load.call(device, code);
  };
  try {
    await work();
  } finally {
    device.load = load;
  }
  return codes;
}

/** Bytes that a program needs beside its inputs and outputs. */
function extraBytes(code: Code, threads: number): number | undefined {
  if (code.kind === 'graph') return undefined;
  const { scratchBytes, localBytes } = 'plan' in code ? code.plan : code.program;
  return scratchBytes + threads * localBytes;
}

interface Found {
  readonly seconds: readonly number[];
  readonly bytes: number | undefined;
}

async function measureOne(
  variant: Variant,
  length: number,
  { device, timing, threads }: BenchOptions,
): Promise<Found> {
  const make = () => random.normal([1, HEADS, length, WIDTH], { device }).realize();
  const [q, k, v, upstream] = [await make(), await make(), await make(), await make()];
  const step = jit((...[x, y, z, g]: [Tensor, Tensor, Tensor, Tensor]): Tensor[] => {
    const out = scaledDotProductAttention(x, y, z, { isCausal: variant.isCausal });
    return variant.backward ? [out, ...vjp([out], [g], [x, y, z])] : [out];
  });
  const once = async () => {
    for (const result of await step(q, k, v, upstream)) result.dispose();
  };
  try {
    const [code] = await codeLoaded(device, once);
    const seconds = (await race([repeating(SUBJECT, once)], timing)).get(SUBJECT) ?? [];
    return { seconds, bytes: extraBytes(code, threads) };
  } finally {
    step.dispose();
    for (const tensor of [q, k, v, upstream]) tensor.dispose();
  }
}

/** Time and memory of one variant, and how both grow from the first length on. */
export async function* runAttention(
  options: BenchOptions,
  lengths: readonly number[] = LENGTHS,
): AsyncGenerator<Measurement> {
  const { device, threads } = options;
  for (const variant of VARIANTS) {
    let first: { time: number; bytes: number } | undefined;
    for (const length of lengths) {
      const { seconds, bytes } = await measureOne(variant, length, options);
      const milliseconds = seconds.map((s) => s * 1000);
      const time = median(milliseconds) / length ** 2;
      first ??= { time, bytes: (bytes ?? 0) / length };
      const more: Record<string, number> = {
        [`time/n^2 against n ${lengths[0]}`]: time / first.time,
      };
      if (bytes !== undefined) {
        more['extra MiB'] = bytes / 2 ** 20;
        if (first.bytes > 0) {
          more[`extra/n against n ${lengths[0]}`] = bytes / length / first.bytes;
        }
      }
      const name = title(variant, length);
      const labels = { bench: 'attention', case: name, device, threads, unit: 'ms' };
      yield withMore(measured(labels, milliseconds), more);
    }
  }
}

export const ATTENTION: Bench = {
  name: 'attention',
  summary: 'attention over 256 to 4096 positions: time and extra memory, and how they grow',
  run: (options) => runAttention(options),
};
