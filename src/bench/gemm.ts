import { makeThreadProbes } from '../device/measure/index.ts';
import { type DeviceName, jit, type Tensor, tensor } from '../tensor/index.ts';
import type { Bench, BenchOptions } from './bench.ts';
import { type Contestant, limiting, race, repeating } from './harness.ts';
import { LIMIT, type Measurement, measurement, SUBJECT } from './measurement.ts';
import { type OpenBlas, openOpenBlas } from './peers/openblas.ts';

/** C [batch, m, n] = A [batch, m, k] B [batch, k, n]. */
export interface GemmCase {
  readonly batch?: number;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  /** Which operand lies in memory transposed. */
  readonly transposed?: 'a' | 'b';
  readonly note?: string;
}

const square = (size: number): GemmCase => ({ m: size, n: size, k: size });

/** Common sizes, awkward ones, and those of the training step in reference-model.ts. */
const CASES: readonly GemmCase[] = [
  square(1024),
  square(512),
  square(1023),
  { m: 1000, n: 77, k: 333 },
  { m: 768, n: 128, k: 128, transposed: 'b', note: 'attention projection' },
  { m: 768, n: 344, k: 128, transposed: 'b', note: 'gate and up' },
  { m: 768, n: 128, k: 344, transposed: 'b', note: 'down' },
  { m: 768, n: 512, k: 128, transposed: 'b', note: 'output layer' },
  { m: 768, n: 128, k: 344, note: 'gradient by the input of gate and up' },
  { m: 344, n: 128, k: 768, transposed: 'a', note: 'gradient by the weight of gate and up' },
  { m: 128, n: 128, k: 768, transposed: 'a', note: 'gradient by the weight of a projection' },
  { batch: 48, m: 64, n: 64, k: 32, transposed: 'b', note: 'attention scores' },
  { batch: 48, m: 64, n: 32, k: 64, note: 'attention values' },
];

function title({ batch, m, n, k, transposed, note }: GemmCase): string {
  const size = `${batch ? `${batch}x ` : ''}${m}x${n}x${k}`;
  const layout = transposed === 'a' ? ' tn' : transposed === 'b' ? ' nt' : '';
  return `f32 ${size}${layout}${note ? ` (${note})` : ''}`;
}

function numbers(count: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => ((i * 2654435761) % 1024) / 1024 - 0.5);
}

interface Operands {
  readonly a: Float32Array;
  readonly b: Float32Array;
}

/** The product on a device, through the interface that a user has. */
function ours(gemm: GemmCase, { a, b }: Operands, device: DeviceName): Contestant {
  const { batch = 1, m, n, k, transposed } = gemm;
  const lead = batch > 1 ? [batch] : [];
  const shape = (rows: number, columns: number, swapped: boolean) =>
    swapped ? [...lead, columns, rows] : [...lead, rows, columns];
  const x = tensor(a, { shape: shape(m, k, transposed === 'a'), device });
  const y = tensor(b, { shape: shape(k, n, transposed === 'b'), device });
  const step = jit((p: Tensor, q: Tensor) => {
    const left = transposed === 'a' ? p.transpose(-2, -1) : p;
    return left.matmul(transposed === 'b' ? q.transpose(-2, -1) : q);
  });
  return repeating(SUBJECT, async () => (await step(x, y)).dispose());
}

function openBlas(blas: OpenBlas, gemm: GemmCase, { a, b }: Operands): Contestant {
  const c = new Float32Array((gemm.batch ?? 1) * gemm.m * gemm.n);
  return repeating('openblas', () => blas.multiply(gemm, a, b, c));
}

export async function* runGemm(
  { device, timing, threads }: BenchOptions,
  cases: readonly GemmCase[] = CASES,
): AsyncGenerator<Measurement> {
  const { peakF32, close } = await makeThreadProbes(threads, { bytes: 2 ** 20 });
  const blas = openOpenBlas(threads);
  for (const gemm of cases) {
    const { batch = 1, m, n, k } = gemm;
    const operands = { a: numbers(batch * m * k), b: numbers(batch * k * n) };
    const flops = 2 * batch * m * n * k;
    const contestants = [ours(gemm, operands, device), limiting(LIMIT, peakF32, flops)];
    if (blas) contestants.push(openBlas(blas, gemm, operands));
    const labels = { bench: 'gemm', case: title(gemm), device, threads, unit: 'GFLOP/s' };
    yield measurement(labels, await race(contestants, timing), (s) => flops / s / 1e9);
  }
  close();
}

export const GEMM: Bench = {
  name: 'gemm',
  summary: 'f32 matrix products beside OpenBLAS and the peak of the machine',
  run: (options) => runGemm(options),
};
