import type { KernelBuilder } from '../../ir/kernel/builder.ts';
import { add, constant, div, type Index, mul, sub, ZERO } from '../../ir/kernel/index-expr.ts';
import type { Buffer, Mask, Value } from '../../ir/kernel/types.ts';
import { maxDim, sizeOf } from '../../ir/shape.ts';
import type { ExpressionLowering } from '../lower/expression.ts';
import { AttentionOperands, AttentionReader } from './attention-operands.ts';
import { Recompute, writeRow } from './attention-recompute.ts';
import { blockingOf, panelsSeen, type QueryRange, whenVisible } from './attention-scores.ts';
import {
  accumulate,
  fill,
  padded,
  stepsUpTo,
  tiled,
  tileRows,
  vectorsFor,
} from './attention-tiles.ts';
import type { CallResult } from './call-template.ts';

/** Rows that are held at once against a tile of keys. */
const CHUNK = 32;
/** Key heads from which on one kernel for all gradients keeps threads busy. */
const MANY_HEADS = 8;
/** Floats of the unfinished dq of one key head: 256 KiB stay in the second-level cache. */
const FEW_SUMS = 2 ** 16;

/** Rows of each head that dq waits for: all queries, in whole chunks. */
const rowsHeld = ({ queries }: AttentionOperands, tile: number) =>
  tiled(maxDim(queries), chunkRows(queries, tile));

const chunkRows = (queries: AttentionOperands['queries'], tile: number) =>
  Math.min(CHUNK, tiled(maxDim(queries), tile));

/**
 * Whether dq, dk and dv are computed together, from weights computed once: a piece of the work is
 * then a whole key head, and the sums of its queries wait until the last keys.
 */
export function gradientsTogether(operands: AttentionOperands): boolean {
  const { lead, kvHeads, group, depth } = operands;
  const sums = group * tiled(maxDim(operands.queries), 4) * tiled(depth, 4);
  return sizeOf(lead) * kvHeads >= MANY_HEADS && sums <= FEW_SUMS;
}

/** The gradients of one call that this kernel computes: dk and dv, or one of them, or dq as well. */
export function buildKeyGradients(
  b: KernelBuilder,
  lowering: ExpressionLowering,
  results: readonly CallResult[],
): void {
  const [{ call }] = results;
  const reader = new AttentionReader(b, lowering, new AttentionOperands(call));
  new KeyGradients(b, reader, results).build();
}

/** A gradient by keys or values: sums over rows of factors [rows, keys] times `right`. */
interface KeyGradient extends CallResult {
  readonly columns: number;
  /** [rows, padded columns] */
  readonly right: Buffer;
  readonly factors: Buffer;
  /** [keys, padded columns] */
  readonly sums: Buffer;
}

/** dq of a whole key head, unfinished until its last keys. */
interface QueryGradient extends CallResult {
  /** Keys of a tile as they lie. */
  readonly keys: Buffer;
  /** [heads of the group, rows held, padded depth] */
  readonly sums: Buffer;
}

/**
 * For each tile of keys, over the heads of the group and all queries in chunks of rows: dv = sum of
 * weight x upstream, dk = sum of ds x scaled q. Chunks come in their order, each from its last row
 * to its first. A piece of work is a tile of keys, or with dq all tiles of a key head.
 */
class KeyGradients {
  readonly #b: KernelBuilder;
  readonly #reader: AttentionReader;
  readonly #recompute: Recompute;
  readonly #keys: number;
  readonly #keyTiles: Index;
  /** Rows of a chunk. */
  readonly #rows: number;
  /** Rows of a register tile. */
  readonly #tile: number;
  readonly #dk: KeyGradient | undefined;
  readonly #dv: KeyGradient | undefined;
  readonly #dq: QueryGradient | undefined;
  /** d(loss) / d(score) of a chunk [rows, keys], where dk or dq are wanted. */
  readonly #slopes: Buffer | undefined;

  constructor(b: KernelBuilder, reader: AttentionReader, results: readonly CallResult[]) {
    const { group, depth, width, queries } = reader.operands;
    const { keys, keyTiles } = blockingOf(reader);
    const tile = tileRows(b);
    const rows = chunkRows(queries, tile);
    const recompute = new Recompute(b, reader, rows, keys);
    const local = (name: string, size: number) => b.buffer(name, 'f32', size, 'local');
    const find = (name: string) => results.find((r) => r.call.arg.name === name);
    const byKeys = (name: string, columns: number, right: Buffer) => {
      const result = find(name);
      const sums = (): Buffer => local(`sums ${name}`, keys * padded(b, columns));
      const factors = (): Buffer => local(`factors ${name}`, rows * keys);
      return result && { ...result, columns, right, sums: sums(), factors: factors() };
    };
    this.#b = b;
    this.#reader = reader;
    this.#recompute = recompute;
    this.#keys = keys;
    this.#keyTiles = keyTiles;
    this.#rows = rows;
    this.#tile = tile;
    this.#dk = byKeys('attention.dk', depth, recompute.q);
    this.#dv = byKeys('attention.dv', width, recompute.upstream);
    const dq = find('attention.dq');
    const held = group * rowsHeld(reader.operands, tile) * padded(b, depth);
    this.#dq = dq && {
      ...dq,
      keys: local('keys', keys * padded(b, depth)),
      sums: local('sums attention.dq', held),
    };
    this.#slopes = this.#dk?.factors ?? (dq && local('slopes', rows * keys));
  }

  build(): void {
    const dq = this.#dq;
    const keys = this.#keys;
    if (!dq) {
      this.#reader.eachPart(this.#keyTiles, (batch, kv, t, offset) => {
        this.#keyTile(batch, kv, mul(t, keys), offset);
      });
      return;
    }
    this.#reader.eachPart(constant(1), (batch, kv, _part, offset) => {
      fill(this.#b, dq.sums, 0);
      this.#b.loop(this.#keyTiles, 'serial', [], (t) => {
        this.#keyTile(batch, kv, mul(t, keys), offset);
      });
      this.#writeQueries(dq, batch, kv);
    });
  }

  #keyTile(batch: Index, kv: Index, key: Index, offset: Index): void {
    const b = this.#b;
    const keys = this.#keys;
    const { group } = this.#reader.operands;
    const both = [this.#dk, this.#dv].filter((x) => x !== undefined);
    for (const { sums } of both) fill(b, sums, 0);
    this.#recompute.packKeys(batch, kv, key, this.#slopes !== undefined, this.#dq?.keys);
    b.loop(group, 'serial', [], (g) => {
      const chunks = div(add(this.#reader.queries, this.#rows - 1), this.#rows);
      b.loop(chunks, 'serial', [], (c) => {
        const range = { batch, offset, first: mul(c, this.#rows), count: this.#rows };
        whenVisible(b, this.#reader, range, key, keys, () => {
          this.#weigh(range, g, add(mul(kv, group), g), key);
          for (const gradient of both) this.#add(gradient, range, key);
        });
      });
    });
    b.loop(keys, 'serial', [], (row) => {
      const at = add(key, row);
      const valid = sub(sub(this.#reader.keys, 1), at);
      for (const { write, sums, columns } of both) {
        writeRow(b, sums, row, columns, (column, value, mask) => {
          write(this.#reader.at(batch, kv, at, column), value, [valid, ...mask]);
        });
      }
    });
  }

  /** Weights and slopes of a chunk, and what they add to dq. */
  #weigh(range: QueryRange, g: Index, head: Index, key: Index): void {
    const b = this.#b;
    const { batch, offset, first } = range;
    const panel = vectorsFor(b, this.#tile) * b.lanes;
    const slopes = this.#slopes;
    const at = (row: Index) => ({ batch, offset, head, query: add(first, row) });
    this.#recompute.packQueries(range, head, ZERO);
    b.loop(this.#rows / this.#tile, 'serial', [], (i) => {
      const row = mul(i, this.#tile);
      const seen = { ...range, first: add(first, row), count: this.#tile };
      const panels = panelsSeen(this.#reader, seen, key, this.#keys, panel);
      this.#recompute.tile(at, key, panels, row, this.#tile, row, this.#dv?.factors, slopes);
      if (!this.#dq || !slopes) return;
      const { sums, keys } = this.#dq;
      const stride = padded(b, this.#reader.operands.depth);
      const held = add(mul(g, rowsHeld(this.#reader.operands, this.#tile)), seen.first);
      accumulate(b, sums, held, stride, {
        terms: mul(panels, panel),
        rows: this.#tile,
        left: (k, r) => b.load(slopes, add(mul(add(row, r), this.#keys), k)),
        right: (k, column) => b.load(keys, add(mul(k, stride), column)),
      });
    });
  }

  /** What a chunk adds to dk or dv. */
  #add({ sums, columns, right, factors }: KeyGradient, range: QueryRange, key: Index): void {
    const b = this.#b;
    const stride = padded(b, columns);
    // From the last row on: the first ones of a chunk are those that may not see the keys.
    const row = (k: Index) => sub(constant(this.#rows - 1), k);
    b.loop(this.#keys / this.#tile, 'serial', [], (j) => {
      const column = mul(j, this.#tile);
      accumulate(b, sums, column, stride, {
        terms: mul(this.#tilesSeeing(range, add(key, column)), this.#tile),
        rows: this.#tile,
        left: (k, i) => b.load(factors, add(add(mul(row(k), this.#keys), column), i)),
        right: (k, at) => b.load(right, add(mul(row(k), stride), at)),
      });
    });
  }

  /** Register tiles of a chunk's rows, from the last on, that may see a key. */
  #tilesSeeing({ offset, first }: QueryRange, key: Index): Index {
    const tiles = this.#rows / this.#tile;
    if (!this.#reader.operands.attributes.isCausal) return constant(tiles);
    return stepsUpTo(sub(add(add(offset, first), this.#rows - 1), key), this.#tile, tiles);
  }

  #writeQueries({ write, sums }: QueryGradient, batch: Index, kv: Index): void {
    const { group, depth, attributes } = this.#reader.operands;
    this.#b.loop(group, 'serial', [], (g) => {
      this.#b.loop(this.#reader.queries, 'serial', [], (query) => {
        const head = add(mul(kv, group), g);
        const row = add(mul(g, rowsHeld(this.#reader.operands, this.#tile)), query);
        const put = (column: Index, value: Value, mask: Mask) => {
          write(this.#reader.at(batch, head, query, column), value, mask);
        };
        writeRow(this.#b, sums, row, depth, put, attributes.scale);
      });
    });
  }
}
