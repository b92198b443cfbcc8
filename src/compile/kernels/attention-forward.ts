import type { KernelBuilder } from '../../ir/kernel/builder.ts';
import { add, constant, div, type Index, mod, mul, sub, ZERO } from '../../ir/kernel/index-expr.ts';
import type { Buffer, Mask, Value } from '../../ir/kernel/types.ts';
import type { ExpressionLowering } from '../lower/expression.ts';
import { foldLanes } from '../lower/lanes.ts';
import { expandUnary } from '../lower/math/index.ts';
import { AttentionOperands, AttentionReader } from './attention-operands.ts';
import {
  type Blocking,
  blockingOf,
  finishScore,
  panelsSeen,
  type QueryRange,
  rowOf,
  whenVisible,
} from './attention-scores.ts';
import {
  accumulate,
  addInFours,
  eachVector,
  fill,
  multiplyTile,
  pack,
  padded,
  sumLanes,
  tileRows,
  vectorsFor,
  when,
} from './attention-tiles.ts';
import type { CallResult } from './call-template.ts';

/**
 * Attention with an online softmax (Milakov and Gimelshein 2018; Dao et al. 2022): keys come in
 * tiles, and each row keeps its running maximum, sum and weighted values, rescaled when the maximum
 * grows. Tiles lie at fixed positions and are taken in order, so a row's bits depend on its own
 * inputs and the number of keys alone. A tile that a row may not see would change nothing: it adds
 * zeros, and what it could do to a -0 the final + 0 undoes.
 */
export function buildForward(
  b: KernelBuilder,
  lowering: ExpressionLowering,
  results: readonly CallResult[],
): void {
  const [{ call }] = results;
  new Forward(b, new AttentionReader(b, lowering, new AttentionOperands(call)), results).build();
}

class Forward {
  readonly #b: KernelBuilder;
  readonly #reader: AttentionReader;
  readonly #blocking: Blocking;
  /** The weighted values; the log-sum-exp of each row. One of them may not be wanted. */
  readonly #output: CallResult | undefined;
  readonly #normaliser: CallResult | undefined;
  readonly #q: Buffer;
  readonly #k: Buffer;
  readonly #v: Buffer;
  readonly #weights: Buffer;
  readonly #sums: Buffer;
  readonly #top: Buffer;
  readonly #total: Buffer;
  readonly #base: Buffer;
  readonly #shrink: Buffer;

  constructor(b: KernelBuilder, reader: AttentionReader, results: readonly CallResult[]) {
    this.#b = b;
    this.#reader = reader;
    this.#blocking = blockingOf(reader);
    this.#output = results.find((r) => r.call.arg.name === 'attention');
    this.#normaliser = results.find((r) => r !== this.#output);
    const { depth, width } = reader.operands;
    const { rows, tile, keys } = this.#blocking;
    const local = (name: string, size: number) => b.buffer(name, 'f32', size, 'local');
    this.#q = local('q', rows * padded(b, depth));
    this.#k = local('k', padded(b, depth) * keys);
    this.#v = local('v', this.#output ? keys * padded(b, width) : 0);
    this.#sums = local('sums', this.#output ? rows * padded(b, width) : 0);
    this.#weights = local('weights', tile * keys);
    this.#top = local('top', rows);
    this.#total = local('total', rows * b.lanes);
    this.#base = local('base', tile);
    this.#shrink = local('shrink', tile);
  }

  build(): void {
    const { blocks, queries } = this.#blocking;
    this.#reader.eachPart(blocks, (batch, kv, block, offset) => {
      const range = { batch, offset, first: mul(block, queries), count: queries };
      this.#block(range, kv);
    });
  }

  #block(range: QueryRange, kv: Index): void {
    const b = this.#b;
    const { keys } = this.#blocking;
    fill(b, this.#top, Number.NEGATIVE_INFINITY);
    fill(b, this.#total, 0);
    fill(b, this.#sums, 0);
    this.#packQueries(range, kv);
    const tile = (t: Index, isWhole: boolean) => {
      const key = mul(t, keys);
      whenVisible(b, this.#reader, range, key, keys, () => {
        this.#packKeys(range.batch, kv, key, isWhole);
        this.#tiles(range, kv, key);
      });
    };
    // Whole tiles need no masks.
    const whole = div(this.#reader.keys, keys);
    b.loop(whole, 'serial', [], (t) => tile(t, true));
    when(b, sub(mod(this.#reader.keys, keys), 1), () => tile(whole, false));
    this.#finish(range, kv);
  }

  #packQueries({ batch, first, count }: QueryRange, kv: Index): void {
    const { group, depth, attributes } = this.#reader.operands;
    this.#b.loop(group, 'serial', [], (g) => {
      const read = this.#reader.rows('q', batch, add(mul(kv, group), g));
      pack(this.#b, {
        rows: count,
        width: depth,
        read: (row, column, mask) => read(add(first, row), column, mask),
        inside: (row) => sub(sub(this.#reader.queries, 1), add(first, row)),
        factor: attributes.scale,
        plain: this.#q,
        first: mul(g, count),
      });
    });
  }

  #packKeys(batch: Index, kv: Index, key: Index, isWhole: boolean): void {
    const { depth, width } = this.#reader.operands;
    const rows = this.#blocking.keys;
    // Few queries are done before the next keys have come from memory.
    if (this.#blocking.rows < tileRows(this.#b)) {
      for (const name of this.#output ? (['k', 'v'] as const) : (['k'] as const)) {
        this.#b.loop(rows, 'serial', [], (i) => {
          this.#reader.prefetchKeyRow(name, batch, kv, add(add(key, rows), i));
        });
      }
    }
    const inside = (row: Index) => (isWhole ? ZERO : sub(sub(this.#reader.keys, 1), add(key, row)));
    const copy = (name: 'k' | 'v', columns: number, to: { plain?: Buffer; turned?: Buffer }) => {
      const read = this.#reader.keyRows(name, batch, kv);
      pack(this.#b, {
        rows,
        width: columns,
        read: (row, column, mask) => read(add(key, row), column, mask),
        inside,
        ...to,
      });
    };
    copy('k', depth, { turned: this.#k });
    if (this.#output) copy('v', width, { plain: this.#v });
  }

  /** All register tiles of rows against one tile of keys. */
  #tiles(range: QueryRange, kv: Index, key: Index): void {
    const b = this.#b;
    const { rows, tile, keys } = this.#blocking;
    const { group } = this.#reader.operands;
    b.loop(rows / tile, 'serial', [], (i) => {
      const row = mul(i, tile);
      const panel = vectorsFor(b, tile) * b.lanes;
      const step = (queries: QueryRange) => {
        const panels = panelsSeen(this.#reader, queries, key, keys, panel);
        const top = this.#scores(range, kv, row, key, panels);
        const shrink = this.#rescale(row, top);
        this.#exponentials(row, mul(panels, panel / b.lanes));
        if (this.#output) this.#accumulate(row, shrink, mul(panels, panel));
      };
      // A tile that spans heads holds all positions of the block.
      if (range.count % tile !== 0) {
        step(range);
        return;
      }
      const { query } = rowOf(range, kv, group, row);
      when(b, sub(sub(this.#reader.queries, 1), query), () => {
        const queries = { ...range, first: query, count: tile };
        whenVisible(b, this.#reader, queries, key, keys, () => step(queries));
      });
    });
  }

  /** Writes the scores of a tile; gives the largest of each row. */
  #scores(range: QueryRange, kv: Index, row: Index, key: Index, panels: Index): Value[] {
    const b = this.#b;
    const { tile, keys } = this.#blocking;
    const { depth, group } = this.#reader.operands;
    const vectors = vectorsFor(b, tile);
    const zero = b.splat(b.const('f32', 0));
    const lowest = b.splat(b.const('f32', Number.NEGATIVE_INFINITY));
    const none = new Array<Value>(tile).fill(lowest);
    const panel = vectors * b.lanes;
    const tops = b.loop(panels, 'serial', none, (p, carried) => {
      const column = mul(p, panel);
      const products = multiplyTile(b, {
        terms: depth,
        rows: tile,
        vectors,
        inits: new Array<Value>(tile * vectors).fill(zero),
        left: (k, i) => b.load(this.#q, add(mul(add(row, i), padded(b, depth)), k)),
        right: (k, v) =>
          b.load(this.#k, add(mul(k, keys), add(add(column, b.laneIndex), v * b.lanes))),
      });
      const next = [...carried];
      products.forEach((product, t) => {
        const i = Math.floor(t / vectors);
        const at = add(add(column, b.laneIndex), (t % vectors) * b.lanes);
        const query = rowOf(range, kv, group, add(row, i));
        const { score } = finishScore(b, this.#reader, query, add(key, at), product);
        b.store(this.#weights, add(constant(i * keys), at), score);
        next[i] = b.select(b.compare('lt', next[i], score), score, next[i]);
      });
      return next;
    });
    return tops.map((top) => {
      const larger = (x: Value, y: Value) => b.select(b.compare('lt', x, y), y, x);
      const four = foldLanes(b, top, 4, larger);
      const even = larger(b.lane(four, 0), b.lane(four, 2));
      return larger(even, larger(b.lane(four, 1), b.lane(four, 3)));
    });
  }

  /** New maxima of a tile's rows. What was summed is to be multiplied by exp(old - new). */
  #rescale(row: Index, tops: readonly Value[]): Value[] {
    const b = this.#b;
    const update = (at: Index, place: Index, top: Value, mask: Mask = []): Value => {
      const nothing = b.const('f32', Number.NEGATIVE_INFINITY);
      const old = b.load(this.#top, add(row, at), mask);
      const next = b.select(b.compare('lt', old, top), top, old);
      // A row that has seen nothing yet: its weights are exp(-infinity - 0).
      const base = b.select(b.compare('eq', next, nothing), b.const('f32', 0), next);
      const shrink = expandUnary(b, 'exp', b.binary('sub', old, base));
      b.store(this.#top, add(row, at), next, mask);
      b.store(this.#base, place, base, mask);
      b.store(this.#shrink, place, shrink, mask);
      return shrink;
    };
    if (tops.length === tileRows(b)) {
      const all = b.eachLane((lane) => tops[lane % tops.length]);
      const mask = [sub(constant(tops.length - 1), b.laneIndex)];
      const shrink = update(b.laneIndex, b.laneIndex, b.pack(all), mask);
      return tops.map((_, i) => b.lane(shrink, i));
    }
    return tops.map((top, i) => update(constant(i), constant(i), top));
  }

  /** Scores become weights, and their sums are taken: lane l of a row's total adds keys l mod 4. */
  #exponentials(row: Index, vectors: Index): void {
    const b = this.#b;
    const { tile, keys } = this.#blocking;
    b.loop(tile, 'serial', [], (i) => {
      const base = b.splat(b.load(this.#base, i));
      const place = add(mul(add(row, i), b.lanes), b.laneIndex);
      const start = b.binary('mul', b.load(this.#total, place), b.splat(b.load(this.#shrink, i)));
      const [total] = b.loop(vectors, 'reduce', [start], (j, [sum]) => {
        const at = add(mul(i, keys), add(mul(j, b.lanes), b.laneIndex));
        const weight = expandUnary(b, 'exp', b.binary('sub', b.load(this.#weights, at), base));
        b.store(this.#weights, at, weight);
        return [addInFours(b, sum, weight)];
      });
      b.store(this.#total, place, total);
    });
  }

  #accumulate(row: Index, shrink: readonly Value[], terms: Index): void {
    const b = this.#b;
    const { tile, keys } = this.#blocking;
    const stride = padded(b, this.#reader.operands.width);
    accumulate(b, this.#sums, row, stride, {
      terms,
      rows: tile,
      left: (k, i) => b.load(this.#weights, add(k, i * keys)),
      right: (k, column) => b.load(this.#v, add(mul(k, stride), column)),
      factors: shrink,
    });
  }

  /** Divides by the sums: after all, there are fewer results than weights. */
  #finish(range: QueryRange, kv: Index): void {
    const b = this.#b;
    const { group, width } = this.#reader.operands;
    const stride = padded(b, width);
    const zero = b.const('f32', 0);
    b.loop(this.#blocking.rows, 'serial', [], (row) => {
      const { batch, head, query } = rowOf(range, kv, group, row);
      const valid = [sub(sub(this.#reader.queries, 1), query)];
      const total = sumLanes(b, b.load(this.#total, add(mul(row, b.lanes), b.laneIndex)));
      const blind = b.compare('eq', total, zero);
      if (this.#normaliser) {
        const sum = b.binary('add', b.load(this.#top, row), expandUnary(b, 'log', total));
        const at = this.#reader.at(batch, head, query, ZERO);
        this.#normaliser.write(at, b.select(blind, zero, sum), valid);
      }
      const output = this.#output;
      if (!output) return;
      const divisor = b.splat(b.select(blind, b.const('f32', 1), total));
      eachVector(b, width, (at, mask) => {
        const sum = b.load(this.#sums, add(mul(row, stride), at));
        const value = b.binary('div', b.binary('add', sum, zero), divisor);
        output.write(this.#reader.at(batch, head, query, at), value, [...valid, ...mask]);
      });
    });
  }
}
