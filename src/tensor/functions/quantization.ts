import { badArgument } from '../../base/errors.ts';
import * as g from '../../ir/graph/build.ts';
import type { QuantScheme } from '../../ir/quantization.ts';
import { formatShape, isVar } from '../../ir/shape.ts';
import { full, type Tensor } from '../tensor.ts';

/**
 * The schemes by name: bits, then `g` and the elements of a block along the last axis (or `row`: the
 * whole axis), then `zero` where each block has a zero point.
 */
export type QuantSchemeName =
  | 'int8-g32'
  | 'int8-row'
  | 'int4-g32'
  | 'int4-g128'
  | 'int4-g32-zero'
  | 'int4-g128-zero';

const SCHEMES: {
  readonly [N in QuantSchemeName]: Omit<QuantScheme, 'block'> & { block: number | 'row' };
} = {
  'int8-g32': { bits: 8, block: 32, zeroPoint: false },
  'int8-row': { bits: 8, block: 'row', zeroPoint: false },
  'int4-g32': { bits: 4, block: 32, zeroPoint: false },
  'int4-g128': { bits: 4, block: 128, zeroPoint: false },
  'int4-g32-zero': { bits: 4, block: 32, zeroPoint: true },
  'int4-g128-zero': { bits: 4, block: 128, zeroPoint: true },
};

/** An array as packed codes: value = (code - zero) scale. The layout stands at `QuantScheme`. */
export interface Quantized {
  readonly scheme: QuantScheme;
  /** [..., n] i8 or u8 of 8 bits; [..., n / 2] u8 of 4 bits, the even element in the low bits. */
  readonly packed: Tensor;
  /** [..., n / block] f32, f16 or bf16. */
  readonly scales: Tensor;
  /** [..., n / block] u8, where the scheme has zero points. */
  readonly zeros?: Tensor;
}

export interface QuantizeOptions {
  /** Type of the scales (default f16). Codes are chosen for the scales as they are stored. */
  readonly scales?: 'f32' | 'f16' | 'bf16';
}

/** Resolves the name of a scheme for an array whose last axis has `length` elements. */
export function quantScheme(name: QuantSchemeName, length: number): QuantScheme {
  if (!Object.hasOwn(SCHEMES, name)) {
    throw badArgument('quantScheme', 'name', name, Object.keys(SCHEMES).join(', '));
  }
  const { bits, block, zeroPoint } = SCHEMES[name];
  return { bits, block: block === 'row' ? length : block, zeroPoint };
}

/**
 * Rounds to the nearest codes of a scheme, block by block (RTN: the baseline of GPTQ, Frantar et al.
 * 2022). Without zero points a block's largest magnitude becomes half the range of codes (7.5 or
 * 127.5 steps), with them its smallest and largest number (0 among them) become the ends.
 *
 * @param x [..., n] of floats (not f64), n a multiple of the scheme's block
 * @returns lazy tensors; no gradient flows through the codes
 * @throws TypeError when the last axis does not hold whole blocks
 */
export function quantize(
  x: Tensor,
  scheme: QuantSchemeName | QuantScheme,
  { scales: scaleType = 'f16' }: QuantizeOptions = {},
): Quantized {
  const length = x.shape[x.rank - 1];
  if (length === undefined || isVar(length)) {
    throw badArgument('quantize', 'x', formatShape(x.shape), 'an array with a static last axis');
  }
  const chosen = typeof scheme === 'string' ? quantScheme(scheme, length) : scheme;
  const { bits, block, zeroPoint } = chosen;
  if (length % block !== 0) {
    throw badArgument('quantize', 'x', formatShape(x.shape), `blocks of ${block} on the last axis`);
  }
  const values = x.detach();
  const blocks = values.cast('f32').reshape([...x.shape.slice(0, -1), length / block, block]);
  const steps = 2 ** bits - 1;
  const low = zeroPoint ? blocks.min(-1).minimum(0) : undefined;
  const reach = low ? blocks.max(-1).maximum(0).sub(low) : blocks.abs().max(-1).mul(2);
  const exact = reach.div(steps);
  // An f16 that became infinite would turn the block's zeros into NaN.
  const stored = (scaleType === 'f16' ? exact.minimum(65504) : exact).cast(scaleType);
  const scales = stored
    .eq(0)
    .where(full(stored.shape, 1, { dtype: scaleType, device: x.device }), stored);
  const zeros = low?.div(scales.cast('f32')).neg().round().clamp(0, steps).cast('u8');
  const others = zeros ? [scales, zeros] : [scales];
  const packed = values.derive(
    g.quantize(values.node, scales.node, zeros?.node, chosen),
    ...others,
  );
  return zeros ? { scheme: chosen, packed, scales, zeros } : { scheme: chosen, packed, scales };
}

/**
 * The values that codes stand for, as f32 [..., n]. It is computed where it is used: a product with
 * it, or an embedding looked up in it, unpacks the codes on its way and never stores the values.
 * Gradients flow to the scales.
 */
export function dequantize({ packed, scales, zeros, scheme }: Quantized): Tensor {
  const others = zeros ? [scales, zeros] : [scales];
  return packed.derive(g.dequantize(packed.node, scales.node, zeros?.node, scheme), ...others);
}
