import type { KernelBuilder } from '../../ir/kernel/builder.ts';
import { add, constant, type Index, mul, sub, ZERO } from '../../ir/kernel/index-expr.ts';
import type { Buffer, Value } from '../../ir/kernel/types.ts';
import { PANEL_ROWS, type PackedAttributes, panelWords, WORD_CODES } from '../../ir/packed.ts';
import { maxDim, type Shape, sizeOf } from '../../ir/shape.ts';
import { type ExpressionLowering, splitIndex } from '../lower/expression.ts';
import { linearIndex } from '../lower/movement.ts';
import { LINE_BYTES } from './cache-line.ts';
import type { CallResult } from './call-template.ts';

/** The lower four bits of each byte of a word. */
export const LOW_HALVES = 0x0f0f0f0f;
/** The sign of each byte of a word: turned, signed bytes are unsigned ones with 128 standing for 0. */
export const SIGNS = 0x80808080 | 0;
/** Bytes of codes that are asked for before they are needed, for each stream. */
export const AHEAD = 1536;

/** What a packed product is made of: see `ir/packed.ts` for the layouts. */
export class PackedOperands {
  readonly #b: KernelBuilder;
  readonly #lowering: ExpressionLowering;
  readonly #result: CallResult;
  readonly #codesShape: Shape;
  readonly bits: 4 | 8;
  readonly codes: Buffer;
  /** Axes of the result's rows. */
  readonly lead: Shape;
  readonly rows: number;
  readonly panels: number;
  readonly blocks: number;
  /** Blocks that share a scale of the weight. */
  readonly blocksOfScale: number;

  constructor(b: KernelBuilder, lowering: ExpressionLowering, result: CallResult) {
    const { arg, src } = result.call;
    const [entries, codes, scales] = src;
    this.#b = b;
    this.#lowering = lowering;
    this.#result = result;
    this.#codesShape = codes.shape;
    this.bits = (arg.attributes as unknown as PackedAttributes).bits;
    this.codes = lowering.memoryOf(codes);
    this.lead = entries.shape.slice(0, -2);
    this.rows = sizeOf(this.lead);
    this.panels = maxDim(codes.shape[0]);
    this.blocks = maxDim(codes.shape[1]);
    this.blocksOfScale = this.blocks / maxDim(scales.shape[1]);
  }

  /** Where a word of a block begins for a row of a panel, in bytes. */
  codesAt(panel: Index, block: Index, word: number, row = 0): Index {
    return linearIndex([panel, block, constant(word), constant(row), ZERO], this.#codesShape);
  }

  /** Asks for the codes `ahead` bytes behind those of a block of a panel, as many as those are. */
  prefetchCodes(panel: Index, block: Index, ahead: number): void {
    const bytes = panelWords(this.bits) * PANEL_ROWS * WORD_CODES;
    for (let line = 0; line < bytes; line += LINE_BYTES) {
      this.#b.prefetch(this.codes, add(this.codesAt(panel, block, 0), ahead + line));
    }
  }

  /** Scales of the weight for rows of a panel from `row` on, a vector. */
  weightScales(panel: Index, group: Index, row = 0): Value {
    const b = this.#b;
    const place = [panel, group, add(b.laneIndex, row)];
    return b.splat(this.#lowering.evaluate(this.#result.call.src[2], place));
  }

  /** Hands over the sums of a row with rows of a panel from `from` on. */
  write(row: Index, panel: Index, from: number, sum: Value): void {
    const { call, write } = this.#result;
    const column = add(mul(panel, PANEL_ROWS), add(this.#b.laneIndex, from));
    const width = maxDim(call.shape[call.shape.length - 1]);
    write([...splitIndex(row, this.lead), column], sum, [sub(constant(width - 1), column)]);
  }
}
