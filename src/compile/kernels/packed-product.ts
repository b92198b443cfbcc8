import type { NodeOf } from '../../ir/graph/types.ts';
import type { KernelBuilder } from '../../ir/kernel/builder.ts';
import { add, constant, type Index, mul, sub } from '../../ir/kernel/index-expr.ts';
import type { Buffer, KernelTarget, Value } from '../../ir/kernel/types.ts';
import {
  ORIGIN_PLACE,
  PANEL_ROWS,
  type PackedAttributes,
  panelWords,
  SCALE_PLACE,
  WORDS,
} from '../../ir/packed.ts';
import { isStatic, maxDim, type Shape, sizeOf } from '../../ir/shape.ts';
import { type ExpressionLowering, splitIndex } from '../lower/expression.ts';
import { linearIndex } from '../lower/movement.ts';
import type { CallResult, CallTemplate } from './call-template.ts';

function refusal(call: NodeOf<'call'>, { lanes }: KernelTarget): string | undefined {
  if (lanes !== PANEL_ROWS) return `a panel has not the ${lanes} rows of a vector`;
  const [entries, codes, scales] = call.src;
  if (codes.shape.length !== 5 || scales.shape.length !== 3) return 'the weight has other axes';
  if (codes.op !== 'buffer') return 'the codes are not in memory';
  if (!isStatic(entries.shape)) return 'its rows are symbolic';
  return sizeOf(call.shape) === 0 ? 'it is empty' : undefined;
}

/** Products of rounded activations with packed weights: see `ir/packed.ts` for the layouts. */
export const productTemplate: CallTemplate = {
  family: () => 'packed.product',
  takesEpilogue: true,
  readsOnce: false,
  sharedSource: 0,
  refusal,
  slower: () => undefined,
  build: (b, lowering, [result]) => new PackedProduct(b, lowering, result).build(),
};

/** Rows of activations that share the codes of a panel, once they are unpacked. */
const TILE_ROWS = 4;
const LOW_HALVES = 0x0f0f0f0f;
/** Turns signed bytes into unsigned ones, 128 standing for 0. */
const SIGNS = 0x80808080 | 0;

class PackedProduct {
  readonly #b: KernelBuilder;
  readonly #lowering: ExpressionLowering;
  readonly #result: CallResult;
  readonly #bits: 4 | 8;
  readonly #codes: Buffer;
  readonly #codesShape: Shape;
  readonly #lead: Shape;
  readonly #panels: number;
  readonly #rows: number;
  /** Columns of the result. */
  readonly #width: number;

  constructor(b: KernelBuilder, lowering: ExpressionLowering, result: CallResult) {
    const { call } = result;
    this.#b = b;
    this.#lowering = lowering;
    this.#result = result;
    this.#bits = (call.arg.attributes as unknown as PackedAttributes).bits;
    this.#codes = lowering.memoryOf(call.src[1]);
    this.#codesShape = call.src[1].shape;
    this.#lead = call.src[0].shape.slice(0, -2);
    this.#panels = maxDim(this.#codesShape[0]);
    this.#rows = sizeOf(this.#lead);
    this.#width = maxDim(call.shape[call.shape.length - 1]);
  }

  /**
   * A panel is read from its begin to its end by itself: two side by side run at a third of the
   * speed once they come from memory.
   */
  build(): void {
    const b = this.#b;
    const whole = Math.floor(this.#rows / TILE_ROWS);
    const rest = this.#rows - whole * TILE_ROWS;
    b.loop(this.#panels, 'thread', [], (panel) => {
      b.loop(whole, 'serial', [], (i) => this.#tile(panel, mul(i, TILE_ROWS), TILE_ROWS));
      if (rest > 0) this.#tile(panel, constant(whole * TILE_ROWS), rest);
    });
  }

  #tile(panel: Index, row: Index, rows: number): void {
    const b = this.#b;
    const zero = b.splat(b.const('f32', 0));
    const inits = new Array<Value>(rows).fill(zero);
    const sums = this.#overBlocks(inits, (block, scaleBlock, carried) => {
      const { factors, scale } = this.#weights(panel, block, scaleBlock);
      return carried.map((sum, i) =>
        b.binary('add', sum, this.#term(add(row, i), block, factors, scale)),
      );
    });
    const column = add(mul(panel, PANEL_ROWS), b.laneIndex);
    sums.forEach((sum, i) => {
      const at = [...splitIndex(add(row, i), this.#lead), column];
      this.#result.write(at, sum, [sub(constant(this.#width - 1), column)]);
    });
  }

  /** Blocks in their order; those that share a scale of the weight in an inner loop. */
  #overBlocks(
    inits: readonly Value[],
    body: (block: Index, scaleBlock: Index, carried: readonly Value[]) => readonly Value[],
  ): readonly Value[] {
    const b = this.#b;
    const blocks = maxDim(this.#codesShape[1]);
    const groups = maxDim(this.#result.call.src[2].shape[1]);
    const each = blocks / groups;
    return b.loop(groups, 'reduce', inits, (group, sums) => {
      if (each === 1) return body(group, group, sums);
      return b.loop(each, 'reduce', sums, (i, inner) =>
        body(add(mul(group, each), i), group, inner),
      );
    });
  }

  /** The unpacked codes of a block of a panel, and the scales of its rows. */
  #weights(panel: Index, block: Index, scaleBlock: Index) {
    const b = this.#b;
    const halves = b.splat(b.const('i32', LOW_HALVES));
    const pairs = Array.from({ length: panelWords(this.#bits) }, (_, i) => {
      const at = [panel, block, constant(i), constant(0), constant(0)];
      const bytes = b.words(this.#codes, linearIndex(at, this.#codesShape));
      const word =
        this.#bits === 4 ? bytes : b.binary('xor', bytes, b.splat(b.const('i32', SIGNS)));
      const low = b.binary('and', word, halves);
      const high = b.binary('and', b.binary('shr', word, b.splat(b.const('i32', 4))), halves);
      return [low, high];
    });
    const factors =
      this.#bits === 4
        ? [pairs.flat()]
        : [pairs.map(([low]) => low), pairs.map(([, high]) => high)];
    const scales = this.#result.call.src[2];
    return {
      factors,
      scale: b.splat(this.#lowering.evaluate(scales, [panel, scaleBlock, b.laneIndex])),
    };
  }

  /** What a block adds: (sum of products of codes - origin) times both scales. */
  #term(
    row: Index,
    block: Index,
    factors: readonly (readonly Value[])[],
    weightScale: Value,
  ): Value {
    const b = this.#b;
    const entry = (place: number) => {
      const at = [...splitIndex(row, this.#lead), block, constant(place)];
      return b.splat(this.#lowering.evaluate(this.#result.call.src[0], at));
    };
    const words = Array.from({ length: WORDS }, (_, i) => entry(i));
    const [low, high] = factors.map((list) => b.byteDot(words, list));
    const sum = high
      ? b.binary('add', low, b.binary('shl', high, b.splat(b.const('i32', 4))))
      : low;
    const exact = b.binary('sub', sum, entry(ORIGIN_PLACE));
    const scale = b.binary('mul', b.bitcast(entry(SCALE_PLACE), 'f32'), weightScale);
    return b.binary('mul', b.convert(exact, 'f32'), scale);
  }
}
