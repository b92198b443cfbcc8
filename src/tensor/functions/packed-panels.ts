import { badArgument } from '../../base/errors.ts';
import {
  ACTIVATION_BLOCK,
  PANEL_ROWS,
  panelShapes,
  panelWords,
  WORD_CODES,
} from '../../ir/packed.ts';
import type { QuantScheme } from '../../ir/quantization.ts';
import type { Tensor } from '../tensor.ts';

/** A matrix in panels, as packed products read it (`ir/packed.ts` has the layout). */
export interface PackedMatrix {
  readonly scheme: QuantScheme;
  readonly shape: readonly [rows: number, columns: number];
  readonly codes: Tensor;
  readonly scales: Tensor;
}

/** Codes and scales of a matrix [rows, columns] in the layout of `QuantScheme`. */
export interface PlainCodes {
  /** [rows, columns] i8, or [rows, columns / 2] u8 of 4 bits. */
  readonly codes: Tensor;
  /** [rows, columns / block] */
  readonly scales: Tensor;
}

/** Throws a TypeError that names what no panel can hold. */
export function requirePanels(
  where: string,
  shape: readonly number[],
  { block, zeroPoint }: QuantScheme,
): void {
  const [, columns] = shape;
  if (shape.length !== 2) throw badArgument(where, 'weight', shape, 'a matrix');
  if (zeroPoint) throw badArgument(where, 'scheme', 'zero points', 'a scheme without them');
  if (block % ACTIVATION_BLOCK !== 0) {
    throw badArgument(where, 'block', block, `a multiple of ${ACTIVATION_BLOCK}`);
  }
  if (columns % block !== 0) {
    throw badArgument(where, 'weight', shape, `rows of whole blocks of ${block}`);
  }
}

/**
 * Scales as products read them fastest: of their type on native, where one instruction widens a vector
 * of f16; elsewhere as f32, which is cheaper there than fewer bytes.
 */
export function panelScales(scales: Tensor): Tensor {
  return scales.device.name === 'native' ? scales : scales.cast('f32');
}

/** From the plain layout to panels: places move. */
export function toPanels(
  { codes, scales }: PlainCodes,
  shape: readonly [number, number],
  scheme: QuantScheme,
): PackedMatrix {
  const [rows] = shape;
  const wanted = panelShapes(shape, scheme);
  const [panels, blocks, words] = wanted.codes as readonly number[];
  const missing: readonly [number, number] = [0, panels * PANEL_ROWS - rows];
  const bytes = codes
    .pad([missing, [0, 0]])
    .reshape([panels, PANEL_ROWS, blocks, words, WORD_CODES])
    .permute([0, 2, 3, 1, 4]);
  const factors = panelScales(scales)
    .pad([missing, [0, 0]])
    .reshape([panels, PANEL_ROWS, wanted.scales[1]])
    .permute([0, 2, 1]);
  return { scheme, shape, codes: bytes, scales: factors };
}

/** From panels to the plain layout; nothing is computed, places move. Scales have their type in the panels. */
export function fromPanels({ scheme, shape, codes, scales }: PackedMatrix): PlainCodes {
  const [rows, columns] = shape;
  const whole = scales.shape[0] as number;
  const rowBytes = (columns / ACTIVATION_BLOCK) * panelWords(scheme.bits) * WORD_CODES;
  return {
    codes: codes
      .permute([0, 3, 1, 2, 4])
      .reshape([whole * PANEL_ROWS, rowBytes])
      .narrow(0, 0, rows),
    scales: scales
      .permute([0, 2, 1])
      .reshape([whole * PANEL_ROWS, columns / scheme.block])
      .narrow(0, 0, rows),
  };
}
