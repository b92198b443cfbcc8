import type { QuantScheme } from './quantization.ts';
import type { Shape } from './shape.ts';

/**
 * How products with packed weights lie in memory, so that the lanes of a vector register are rows of
 * the weight, each with four neighbours (four or eight of them, for codes of 8 or 4 bits), and nothing
 * has to be summed across lanes.
 *
 * A panel is PANEL_ROWS rows of the weight. The bytes of a weight [rows, columns] lie as
 * [panels, blocks of 32, words, PANEL_ROWS, 4]: of each block of 32 columns, for each row, bytes
 * 4 word .. 4 word + 3 of the block's own (see `QuantScheme` for what they hold). Scales lie as
 * [panels, blocks of the scheme, PANEL_ROWS], f32 or as they were made. Rows that fill up the last panel have scale 0.
 *
 * Activations [.., columns] are rounded to int8 in blocks of 32: i32 [.., blocks, ENTRY]. An entry
 * has eight words of four codes each, in the order in which the weight's codes come out of its
 * bytes; then the bits of the f32 scale; then minus the sum of the codes times the
 * code that stands for 0: what sums of products begin with.
 */
export const PANEL_ROWS = 16;
/** Columns that share a scale of the activations. */
export const ACTIVATION_BLOCK = 32;
export const ACTIVATION_SCHEME: QuantScheme = {
  bits: 8,
  block: ACTIVATION_BLOCK,
  zeroPoint: false,
};
/** Codes of the activations in a word. */
export const WORD_CODES = 4;
export const WORDS = ACTIVATION_BLOCK / WORD_CODES;
/** Places of the scale and of the sum in an entry, and its size. */
export const SCALE_PLACE = WORDS;
export const ORIGIN_PLACE = WORDS + 1;
export const ENTRY = WORDS + 2;

/** What the two calls of a packed product have to know: plain data. */
export interface PackedAttributes {
  /** Bits of the weight's codes. */
  readonly bits: 4 | 8;
}

/** The code of a weight's byte or half byte, unsigned, that stands for 0. */
export function originOf(bits: 4 | 8): number {
  return 2 ** (bits - 1);
}

/** Words of a row's block in a panel. */
export function panelWords(bits: 4 | 8): number {
  return (WORDS * bits) / 8;
}

/** Shapes of the panels of a weight [rows, columns] whose blocks are multiples of 32. */
export function panelShapes(
  [rows, columns]: readonly [number, number],
  { bits, block }: QuantScheme,
): { readonly codes: Shape; readonly scales: Shape } {
  const panels = Math.ceil(rows / PANEL_ROWS);
  return {
    codes: [panels, columns / ACTIVATION_BLOCK, panelWords(bits), PANEL_ROWS, WORD_CODES],
    scales: [panels, columns / block, PANEL_ROWS],
  };
}
