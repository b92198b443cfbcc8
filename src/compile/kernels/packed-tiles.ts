import type { KernelBuilder } from '../../ir/kernel/builder.ts';
import { add, constant, type Index, mul, ZERO } from '../../ir/kernel/index-expr.ts';
import type { Buffer, Value } from '../../ir/kernel/types.ts';
import { ENTRY, PANEL_ROWS, panelWords, SCALE_PLACE, WORD_CODES, WORDS } from '../../ir/packed.ts';
import { sizeOf } from '../../ir/shape.ts';
import type { ExpressionLowering } from '../lower/expression.ts';
import type { CallResult } from './call-template.ts';
import { AHEAD, LOW_HALVES, PackedOperands, SIGNS } from './packed-operands.ts';

/** Rows of activations in a tile. */
const ROWS = 16;
/** Words of a block of a panel, one to a code of four neighbours of a row. */
const BLOCK_WORDS = WORDS * PANEL_ROWS;
/** Added to halves of bytes (which carries nothing on), then their signs turned: 8 is taken from each. */
const LESS_EIGHT = 0x78787878;

/** Whether a product with a packed weight has enough rows for tiles, and there are tiles. */
export function suitsTiles(b: KernelBuilder, { call }: CallResult): boolean {
  const [entries] = call.src;
  if (!b.target.byteTiles || b.lanes !== PANEL_ROWS) return false;
  // Tiles are read where the entries lie.
  if (entries.op !== 'call' && entries.op !== 'buffer') return false;
  return sizeOf(entries.shape.slice(0, -2)) >= ROWS;
}

/**
 * A product with a packed weight by tiles of signed bytes: see `ir/packed.ts` for the layouts. A
 * panel's codes are made signed once for all rows; then what an entry's sum begins with is already in
 * the products, and a tile holds the same integers as sums in vectors do.
 */
export function buildPackedTiles(
  b: KernelBuilder,
  lowering: ExpressionLowering,
  result: CallResult,
): void {
  new PackedTiles(b, lowering, result).build();
}

class PackedTiles {
  readonly #b: KernelBuilder;
  readonly #operands: PackedOperands;
  readonly #entries: Buffer;
  /** A panel's codes as signed bytes, where they do not lie so: [blocks][words][rows]. */
  readonly #signed: Buffer | undefined;
  /** A panel's scales, one for each block and row. */
  readonly #scales: Buffer;
  /** A block's integers: [rows][panel rows]. */
  readonly #sums: Buffer;

  constructor(b: KernelBuilder, lowering: ExpressionLowering, result: CallResult) {
    this.#entries = lowering.memoryOf(result.call.src[0]);
    const operands = new PackedOperands(b, lowering, result);
    const { bits, blocks } = operands;
    this.#b = b;
    this.#operands = operands;
    const words = blocks * BLOCK_WORDS;
    this.#signed = bits === 4 ? b.buffer('signed', 'i32', words, 'local') : undefined;
    this.#scales = b.buffer('scales', 'f32', blocks * PANEL_ROWS, 'local');
    this.#sums = b.buffer('sums', 'i32', ROWS * PANEL_ROWS, 'local');
  }

  build(): void {
    const b = this.#b;
    const { rows, panels } = this.#operands;
    const whole = Math.floor(rows / ROWS);
    const rest = rows - whole * ROWS;
    b.loop(panels, 'thread', [], (panel) => {
      this.#prepare(panel);
      b.loop(whole, 'serial', [], (i) => this.#tile(panel, mul(i, ROWS), 0));
      // The last tile has rows of the one before it, whose sums nobody looks at.
      if (rest > 0) this.#tile(panel, constant(rows - ROWS), ROWS - rest);
    });
  }

  /** Scales and codes of a panel as all rows need them. */
  #prepare(panel: Index): void {
    const b = this.#b;
    const { blocks, blocksOfScale: each } = this.#operands;
    b.loop(blocks / each, 'serial', [], (group) => {
      const scale = this.#operands.weightScales(panel, group);
      const one = (block: Index) => {
        b.store(this.#scales, add(mul(block, PANEL_ROWS), b.laneIndex), scale);
        // Whoever unpacks reads here; else only the products do, later.
        this.#operands.prefetchCodes(panel, block, this.#signed ? AHEAD : 0);
        if (this.#signed) this.#unpack(panel, block, this.#signed);
      };
      if (each === 1) one(group);
      else b.loop(each, 'serial', [], (i) => one(add(mul(group, each), i)));
    });
  }

  /** Halves of bytes as signed bytes. */
  #unpack(panel: Index, block: Index, signed: Buffer): void {
    const b = this.#b;
    const { codes } = this.#operands;
    const all = (bits: number) => b.splat(b.const('i32', bits));
    const put = (word: number, halves: Value) => {
      const less = b.binary('add', b.binary('and', halves, all(LOW_HALVES)), all(LESS_EIGHT));
      const at = add(mul(block, BLOCK_WORDS), add(b.laneIndex, word * PANEL_ROWS));
      b.store(signed, at, b.binary('xor', less, all(SIGNS)));
    };
    for (let word = 0; word < panelWords(4); word++) {
      const raw = b.words(codes, this.#operands.codesAt(panel, block, word));
      put(2 * word, raw);
      put(2 * word + 1, b.binary('shr', raw, all(4)));
    }
  }

  /** Sixteen rows by a panel; of them those from `first` on are written. */
  #tile(panel: Index, row: Index, first: number): void {
    const b = this.#b;
    const rows = Array.from({ length: ROWS - first }, (_, i) => add(row, first + i));
    const zero = b.splat(b.const('f32', 0));
    const inits = rows.map(() => zero);
    const sums = b.loop(this.#operands.blocks, 'reduce', inits, (block, carried) => {
      this.#multiply(panel, row, block);
      return this.#addScaled(rows, first, block, carried);
    });
    sums.forEach((sum, i) => {
      this.#operands.write(rows[i], panel, 0, sum);
    });
  }

  /** The integers of a block. */
  #multiply(panel: Index, row: Index, block: Index): void {
    const b = this.#b;
    const { blocks, codes } = this.#operands;
    const [sum, left, right] = [0, 1, 2];
    const load = (tile: number, buffer: Buffer, index: Index, stride: number) =>
      b.tile({ kind: 'tileLoad', tile, buffer, index, stride });
    load(left, this.#entries, this.#entryAt(row, block), blocks * ENTRY);
    if (this.#signed) load(right, this.#signed, mul(block, BLOCK_WORDS), PANEL_ROWS);
    else load(right, codes, this.#operands.codesAt(panel, block, 0), PANEL_ROWS * WORD_CODES);
    b.tile({ kind: 'tileZero', tile: sum });
    b.tile({ kind: 'tileDot', of: 'bytes', sum, a: left, b: right });
    b.tile({ kind: 'tileStore', tile: sum, buffer: this.#sums, index: ZERO, stride: PANEL_ROWS });
  }

  #entryAt(row: Index, block: Index): Index {
    return add(mul(row, this.#operands.blocks * ENTRY), mul(block, ENTRY));
  }

  /** Adds a block's integers, from a row of the tile on, times both scales. */
  #addScaled(rows: readonly Index[], first: number, block: Index, sums: readonly Value[]): Value[] {
    const b = this.#b;
    const weight = b.load(this.#scales, add(mul(block, PANEL_ROWS), b.laneIndex));
    return rows.map((row, i) => {
      const exact = b.load(this.#sums, add(b.laneIndex, (first + i) * PANEL_ROWS));
      const bits = b.load(this.#entries, add(this.#entryAt(row, block), SCALE_PLACE));
      const scale = b.bitcast(b.splat(bits), 'f32');
      const term = b.binary('mul', b.convert(exact, 'f32'), b.binary('mul', scale, weight));
      return b.binary('add', sums[i], term);
    });
  }
}
