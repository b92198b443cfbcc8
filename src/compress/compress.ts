import { type MatrixOf, replaceWeight } from '../models/index.ts';
import type { Module } from '../nn/index.ts';
import { PackedWeight } from '../nn/index.ts';
import type { QuantSchemeName } from '../tensor/functions/index.ts';
import { realize, scope, type Tensor } from '../tensor/index.ts';
import { type Choice, type PlanOptions, planCompression } from './plan.ts';
import { bytesOf } from './size.ts';

/** What was done to the weight of one layer. */
export interface LayerReport {
  readonly layer: string;
  readonly shape: readonly [rows: number, columns: number];
  /** The scheme of its codes, or f32 where it stays. */
  readonly stored: string;
  readonly bytesBefore: number;
  readonly bytes: number;
  readonly bitsPerWeight: number;
  /** |W - packed W| / |W| (Frobenius norms); 0 where it stays. */
  readonly relativeError: number;
  /** Largest difference of one weight. */
  readonly maxError: number;
  /** Why it is not stored as was asked for. */
  readonly reason?: string;
}

export interface CompressOptions extends PlanOptions {
  readonly onLayer?: ((report: LayerReport, done: number, all: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Packs the matrices of a model in place, rounding to the nearest codes (RTN), layer by layer. The
 * layers' weights are then PackedWeights, and products with them run on the packed codes.
 *
 * @throws RangeError naming a layer whose weights are not all finite; layers before it are packed
 */
export async function compressModel(
  model: Module,
  options: CompressOptions,
): Promise<LayerReport[]> {
  const choices = planCompression(model, options);
  const reports: LayerReport[] = [];
  for (const [at, choice] of choices.entries()) {
    options.signal?.throwIfAborted();
    const report = await compressLayer(model, choice);
    reports.push(report);
    options.onLayer?.(report, at + 1, choices.length);
  }
  return reports;
}

async function compressLayer(model: Module, choice: Choice): Promise<LayerReport> {
  const { layer, matrix, scheme, reason } = choice;
  const { shape, weight } = matrix;
  const bytesBefore = bytesOf(weight);
  const told = { layer, shape, bytesBefore, ...(reason !== undefined && { reason }) };
  const bits = (bytes: number) => (8 * bytes) / (shape[0] * shape[1]);
  if (scheme === undefined) {
    const kept = { stored: 'f32', bytes: bytesBefore, bitsPerWeight: bits(bytesBefore) };
    return { ...told, ...kept, relativeError: 0, maxError: 0 };
  }
  const packed = await round(matrix, scheme);
  const { relativeError, maxError } = await errors(matrix, packed, layer);
  replaceWeight(model, `${layer}.weight`, packed);
  const bytes = bytesOf(packed);
  return { ...told, stored: scheme, bytes, bitsPerWeight: bits(bytes), relativeError, maxError };
}

/** The packed weight, computed, so that nothing of the matrix is kept for its sake. */
async function round(matrix: MatrixOf, scheme: QuantSchemeName): Promise<PackedWeight> {
  const packed = scope(() => PackedWeight.round(matrix.matrix(), scheme));
  const cells = [...packed.state().values()].map((cell) => cell.value);
  await realize(...cells);
  for (const t of cells) t.dispose();
  return packed;
}

async function errors(matrix: MatrixOf, packed: PackedWeight, layer: string) {
  const measured = scope(() => {
    const weight = matrix.matrix();
    const difference = packed.dequantize().sub(weight);
    const norm = (x: Tensor) => x.square().sum().sqrt();
    return [norm(weight), norm(difference), difference.abs().max()] as const;
  });
  await realize(...measured);
  const [size, error, maxError] = await Promise.all(measured.map((t) => t.item()));
  for (const t of measured) t.dispose();
  if (!Number.isFinite(size)) {
    packed.dispose();
    throw new RangeError(
      `compress: the weights of ${layer} have the norm ${size}; expected finite numbers. The model ` +
        'is damaged, or its training diverged.',
    );
  }
  return { relativeError: size === 0 ? 0 : error / size, maxError };
}
