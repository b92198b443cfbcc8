import { type DeviceName, jit, type Tensor, tensor } from '../tensor/index.ts';
import { withBars } from './bars.ts';
import type { Bench, BenchOptions } from './bench.ts';
import { runGemmBf16 } from './gemm-bf16.ts';
import { type Contestant, limiting, race, repeating } from './harness.ts';
import { type Limits, openLimits } from './limits.ts';
import { type Bar, LIMIT, type Measurement, measurement, SUBJECT } from './measurement.ts';
import { ifThere } from './peers/absent.ts';
import type { Child } from './peers/child.ts';
import { openOnnxRuntime } from './peers/onnxruntime.ts';
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
  readonly bars?: readonly Bar[];
  /** Whether it is measured beside ONNX Runtime, too. */
  readonly onnx?: boolean;
}

const OPENBLAS = 'openblas';
const AT_PEAK: readonly Bar[] = [
  { of: LIMIT, atLeast: 0.92 },
  { of: OPENBLAS, atLeast: 1 },
];
const ODD: readonly Bar[] = [{ of: OPENBLAS, atLeast: 1 }];

const square = (size: number): GemmCase => ({ m: size, n: size, k: size });
const common = (size: number): GemmCase => ({ ...square(size), bars: AT_PEAK, onnx: true });

/** Common sizes, awkward ones, and those of the training step in reference-model.ts. */
const CASES: readonly GemmCase[] = [
  common(512),
  common(1024),
  common(2048),
  { ...square(1023), bars: ODD },
  { m: 1000, n: 77, k: 333, bars: ODD },
  { m: 2049, n: 17, k: 513, bars: ODD },
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
  return repeating(OPENBLAS, () => blas.multiply(gemm, a, b, c));
}

/** Processes with the product in ONNX Runtime: on all threads, and on one where there are more. */
async function openOnnx(gemm: GemmCase, threads: number): Promise<[name: string, child: Child][]> {
  const found: [string, Child][] = [];
  for (const count of new Set([threads, 1])) {
    const child = await ifThere(() => openOnnxRuntime({ ...gemm, threads: count }));
    if (child) found.push([`onnxruntime${count < threads ? ' on 1 thread' : ''}`, child]);
  }
  return found;
}

interface Beside {
  readonly limits: Limits;
  readonly blas: OpenBlas | undefined;
}

async function measureOne(
  gemm: GemmCase,
  { device, timing, threads }: BenchOptions,
  { limits, blas }: Beside,
): Promise<Measurement> {
  const { batch = 1, m, n, k, bars } = gemm;
  const operands = { a: numbers(batch * m * k), b: numbers(batch * k * n) };
  const flops = 2 * batch * m * n * k;
  const contestants = [ours(gemm, operands, device), limiting(LIMIT, limits.peakF32, flops)];
  if (blas) contestants.push(openBlas(blas, gemm, operands));
  const others = gemm.onnx ? await openOnnx(gemm, threads) : [];
  for (const [name, child] of others) contestants.push(child.contestant(name));
  try {
    const labels = { bench: 'gemm', case: title(gemm), device, threads, unit: 'GFLOP/s' };
    const seconds = await race(contestants, timing);
    const result = measurement(labels, seconds, (s) => flops / s / 1e9);
    return bars ? withBars(result, bars) : result;
  } finally {
    for (const [, child] of others) child.close();
  }
}

export async function* runGemm(
  options: BenchOptions,
  cases: readonly GemmCase[] = CASES,
): AsyncGenerator<Measurement> {
  const { device, threads } = options;
  const limits = await openLimits({ device, threads, bytes: 2 ** 20 });
  try {
    const blas = await ifThere(() => openOpenBlas(threads));
    for (const gemm of cases) yield await measureOne(gemm, options, { limits, blas });
  } finally {
    limits.close();
  }
}

export const GEMM: Bench = {
  name: 'gemm',
  summary: 'f32 and bf16 matrix products beside other libraries and the peak of the machine',
  run: async function* (options) {
    yield* runGemm(options);
    yield* runGemmBf16(options);
  },
};
