import type { NodeOf } from '../../ir/graph/types.ts';
import type { KernelBuilder } from '../../ir/kernel/builder.ts';
import { add, constant, type Index, mul } from '../../ir/kernel/index-expr.ts';
import type { Value } from '../../ir/kernel/types.ts';
import { ORIGIN_PLACE, PANEL_ROWS, panelWords, SCALE_PLACE, WORDS } from '../../ir/packed.ts';
import { isStatic, sizeOf } from '../../ir/shape.ts';
import { type ExpressionLowering, splitIndex } from '../lower/expression.ts';
import type { CallResult, CallTemplate } from './call-template.ts';
import { AHEAD, LOW_HALVES, PackedOperands, SIGNS } from './packed-operands.ts';
import { buildPackedTiles, suitsTiles } from './packed-tiles.ts';

function refusal(call: NodeOf<'call'>): string | undefined {
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
  build: (b, lowering, [result]) => {
    if (suitsTiles(b, result)) buildPackedTiles(b, lowering, result);
    else new PackedProduct(b, lowering, result).build();
  },
};

/** Vectors of weight rows that a tile computes side by side: some of a panel's, or whole panels. */
interface Columns {
  readonly panel: Index;
  /** Number of the vector in its panel. */
  readonly vector: number;
}

/** A block of a row's activations, each word in all lanes. */
interface Entry {
  readonly words: readonly Value[];
  readonly origin: Value;
  readonly scale: Value;
}

/** How a product is cut, by the rows of activations in a tile. */
interface Cut {
  /** Panels side by side, far apart: each is a stream from memory of its own. */
  readonly panels: number;
  /** Vectors of a panel side by side. */
  readonly vectors: number;
}

class PackedProduct {
  readonly #b: KernelBuilder;
  readonly #lowering: ExpressionLowering;
  readonly #result: CallResult;
  readonly #operands: PackedOperands;

  constructor(b: KernelBuilder, lowering: ExpressionLowering, result: CallResult) {
    this.#b = b;
    this.#lowering = lowering;
    this.#result = result;
    this.#operands = new PackedOperands(b, lowering, result);
  }

  build(): void {
    const b = this.#b;
    const { panels, rows } = this.#operands;
    const { panels: side } = this.#cut(Math.min(rows, this.#mostRows));
    const whole = Math.floor(panels / side);
    const far = (i: Index) => Array.from({ length: side }, (_, s) => add(i, s * whole));
    b.loop(whole, 'thread', [], (i) => this.#panelsSideBySide(far(i)));
    const left = panels - whole * side;
    b.loop(left, 'thread', [], (i) => this.#panelsSideBySide([add(i, whole * side)]));
  }

  /** All rows of activations by some panels. */
  #panelsSideBySide(panels: readonly Index[]): void {
    const b = this.#b;
    const most = this.#mostRows;
    const { rows: all } = this.#operands;
    const whole = Math.floor(all / most);
    const rest = all - whole * most;
    const tiles = (row: Index, rows: number) => {
      const { vectors } = this.#cut(rows);
      for (let v = 0; v < PANEL_ROWS / b.lanes; v += vectors) {
        const columns = panels.flatMap((panel) =>
          Array.from({ length: vectors }, (_, i): Columns => ({ panel, vector: v + i })),
        );
        this.#tile(columns, row, rows);
      }
    };
    b.loop(whole, 'serial', [], (i) => tiles(mul(i, most), most));
    if (rest > 0) tiles(constant(whole * most), rest);
  }

  /** Rows of activations that share the codes of a panel, once they are unpacked. */
  get #mostRows(): number {
    return this.#b.lanes === 16 ? 8 : 4;
  }

  /** As much side by side as registers hold. */
  #cut(rows: number): Cut {
    const { lanes } = this.#b;
    const all = PANEL_ROWS / lanes;
    if (lanes === 16) return { panels: rows === 1 ? 4 : rows === 2 ? 2 : 1, vectors: 1 };
    if (lanes === 8) return { panels: rows === 1 ? 2 : 1, vectors: rows === 1 ? all : 1 };
    return { panels: 1, vectors: rows === 1 ? all : 1 };
  }

  #tile(columns: readonly Columns[], row: Index, rows: number): void {
    const b = this.#b;
    const zero = b.splat(b.const('f32', 0));
    const inits = new Array<Value>(rows * columns.length).fill(zero);
    const sums = this.#overBlocks(inits, (block, scaleBlock, carried) => {
      const next = [...carried];
      const weights = columns.map((c) => this.#weights(c, block, scaleBlock));
      for (let i = 0; i < rows; i++) {
        const entry = this.#entry(add(row, i), block);
        weights.forEach((weight, c) => {
          const at = i * columns.length + c;
          next[at] = b.binary('add', next[at], this.#term(entry, weight));
        });
      }
      return next;
    });
    sums.forEach((sum, t) => {
      const { panel, vector } = columns[t % columns.length];
      const at = add(row, Math.floor(t / columns.length));
      this.#operands.write(at, panel, vector * b.lanes, sum);
    });
  }

  /** Blocks in their order; those that share a scale of the weight in an inner loop. */
  #overBlocks(
    inits: readonly Value[],
    body: (block: Index, scaleBlock: Index, carried: readonly Value[]) => readonly Value[],
  ): readonly Value[] {
    const b = this.#b;
    const { blocks, blocksOfScale: each } = this.#operands;
    return b.loop(blocks / each, 'reduce', inits, (group, sums) => {
      if (each === 1) return body(group, group, sums);
      return b.loop(each, 'reduce', sums, (i, inner) =>
        body(add(mul(group, each), i), group, inner),
      );
    });
  }

  /** The unpacked codes of a block of some rows of a panel, and the scales of these rows. */
  #weights({ panel, vector }: Columns, block: Index, scaleBlock: Index) {
    const b = this.#b;
    const operands = this.#operands;
    const row = vector * b.lanes;
    if (vector === 0) operands.prefetchCodes(panel, block, AHEAD);
    const raw = Array.from({ length: panelWords(operands.bits) }, (_, i) =>
      b.words(operands.codes, operands.codesAt(panel, block, i, row)),
    );
    return {
      factors: this.#factors(raw),
      scale: operands.weightScales(panel, scaleBlock, row),
    };
  }

  /** Unsigned bytes of codes; those of 8 bits as halves where only products of small ones are exact. */
  #factors(raw: readonly Value[]): readonly (readonly Value[])[] {
    const b = this.#b;
    const halves = b.splat(b.const('i32', LOW_HALVES));
    const low = (word: Value) => b.binary('and', word, halves);
    const high = (word: Value) =>
      b.binary('and', b.binary('shr', word, b.splat(b.const('i32', 4))), halves);
    if (this.#operands.bits === 4) return [raw.flatMap((word) => [low(word), high(word)])];
    const unsigned = raw.map((word) => b.binary('xor', word, b.splat(b.const('i32', SIGNS))));
    return b.target.wideByteDot ? [unsigned] : [unsigned.map(low), unsigned.map(high)];
  }

  /** A block of a row's activations, in all lanes. */
  #entry(row: Index, block: Index): Entry {
    const b = this.#b;
    const at = (place: number) =>
      b.splat(
        this.#lowering.evaluate(this.#result.call.src[0], [
          ...splitIndex(row, this.#operands.lead),
          block,
          constant(place),
        ]),
      );
    return {
      words: Array.from({ length: WORDS }, (_, i) => at(i)),
      origin: at(ORIGIN_PLACE),
      scale: b.bitcast(at(SCALE_PLACE), 'f32'),
    };
  }

  /** What a block adds: (sum of products of codes, from the origin on) times both scales. */
  #term(
    { words, origin, scale }: Entry,
    weight: { readonly factors: readonly (readonly Value[])[]; readonly scale: Value },
  ): Value {
    const b = this.#b;
    const [first, high] = weight.factors;
    const low = b.byteDot(words, first, origin);
    const exact = high
      ? b.binary('add', low, b.binary('shl', b.byteDot(words, high), b.splat(b.const('i32', 4))))
      : low;
    return b.binary('mul', b.convert(exact, 'f32'), b.binary('mul', scale, weight.scale));
  }
}
