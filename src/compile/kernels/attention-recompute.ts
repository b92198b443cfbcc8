import type { KernelBuilder } from '../../ir/kernel/builder.ts';
import { add, constant, type Index, mul, range, sub, ZERO } from '../../ir/kernel/index-expr.ts';
import type { Buffer, Value } from '../../ir/kernel/types.ts';
import { expandUnary } from '../lower/math/index.ts';
import type { AttentionReader } from './attention-operands.ts';
import { finishScore, type QueryRange, type QueryRow } from './attention-scores.ts';
import {
  addInFours,
  eachVector,
  multiplyTile,
  pack,
  padded,
  sumLanes,
  vectorsFor,
  zeroUnless,
} from './attention-tiles.ts';

/**
 * What both gradients share: weights are computed again from the scores and the log-sum-exp of each
 * row, and with D = sum of upstream x result the gradient of a score is weight (upstream v' - D)
 * (Dao 2023).
 */
export class Recompute {
  readonly #b: KernelBuilder;
  readonly #reader: AttentionReader;
  readonly #keys: number;
  /** Queries times the scale, and upstream [rows, padded]. */
  readonly q: Buffer;
  readonly upstream: Buffer;
  /** Keys and values [padded, keys]. */
  readonly #k: Buffer;
  readonly #v: Buffer;
  readonly #normaliser: Buffer;
  readonly #delta: Buffer;

  /**
   * @param rows queries held at once
   * @param keys keys of a tile
   */
  constructor(b: KernelBuilder, reader: AttentionReader, rows: number, keys: number) {
    this.#b = b;
    this.#reader = reader;
    this.#keys = keys;
    const { depth, width } = reader.operands;
    const local = (name: string, size: number) => b.buffer(name, 'f32', size, 'local');
    this.q = local('q', rows * padded(b, depth));
    this.upstream = local('upstream', rows * padded(b, width));
    this.#k = local('k', padded(b, depth) * keys);
    this.#v = local('v', padded(b, width) * keys);
    this.#normaliser = local('normaliser', rows);
    this.#delta = local('delta', rows);
  }

  /** Reads the queries of a range and what belongs to them; `first` is their first row here. */
  packQueries({ batch, first, count }: QueryRange, head: Index, row: Index): void {
    const b = this.#b;
    const { operands } = this.#reader;
    const inside = (i: Index) => sub(sub(this.#reader.queries, 1), add(first, i));
    const copy = (name: string, width: number, plain: Buffer, factor?: number) => {
      const read = this.#reader.rows(name, batch, head);
      pack(b, {
        rows: count,
        width,
        read: (i, column, mask) => read(add(first, i), column, mask),
        inside,
        plain,
        first: row,
        ...(factor === undefined ? {} : { factor }),
      });
    };
    copy('q', operands.depth, this.q, operands.attributes.scale);
    copy('upstream', operands.width, this.upstream);
    const saved = this.#reader.rows('saved', batch, head);
    const result = this.#reader.rows('result', batch, head);
    b.loop(count, 'serial', [], (i) => {
      const valid = [inside(i)].filter((m) => range(m).min < 0);
      const normaliser = zeroUnless(b, valid, saved(add(first, i), ZERO, valid));
      b.store(this.#normaliser, add(row, i), normaliser);
      b.store(this.#delta, add(row, i), this.#rowDelta(result, add(first, i), add(row, i), valid));
    });
  }

  #rowDelta(
    result: ReturnType<AttentionReader['rows']>,
    query: Index,
    row: Index,
    valid: readonly Index[],
  ): Value {
    const b = this.#b;
    const { width } = this.#reader.operands;
    const stride = padded(b, width);
    const term = (column: Index, mask: readonly Index[]) => {
      const y = zeroUnless(b, valid, b.splat(result(query, column, [...valid, ...mask])));
      const g = b.load(this.upstream, add(mul(row, stride), column));
      return b.binary('mul', y, g);
    };
    const whole = Math.floor(width / b.lanes);
    const zero = b.splat(b.const('f32', 0));
    let [sum] = b.loop(whole, 'reduce', [zero], (i, [carried]) => [
      addInFours(b, carried, term(add(mul(i, b.lanes), b.laneIndex), [])),
    ]);
    if (width > whole * b.lanes) {
      const rest = add(b.laneIndex, whole * b.lanes);
      const mask = [sub(constant(width - 1), rest)];
      const last = b.select(
        b.compare('lt', b.index(rest), b.const('i32', width)),
        term(rest, mask),
        zero,
      );
      sum = addInFours(b, sum, last);
    }
    return sumLanes(b, sum);
  }

  /** Reads a tile of keys, and of values where gradients of scores are wanted. */
  packKeys(batch: Index, kv: Index, key: Index, withValues: boolean, plainKeys?: Buffer): void {
    const { depth, width } = this.#reader.operands;
    const copy = (name: 'k' | 'v', columns: number, turned: Buffer, plain?: Buffer) => {
      const read = this.#reader.keyRows(name, batch, kv);
      pack(this.#b, {
        rows: this.#keys,
        width: columns,
        read: (row, column, mask) => read(add(key, row), column, mask),
        inside: (row) => sub(sub(this.#reader.keys, 1), add(key, row)),
        turned,
        plain,
      });
    };
    copy('k', depth, this.#k, plainKeys);
    if (withValues) copy('v', width, this.#v);
  }

  /**
   * Weights of a register tile of rows, and the gradients of its scores.
   *
   * @param at the query that a row holds
   * @param panels how many of the tile's panels are computed (`vectorsFor(b, rows)` wide)
   * @param weights [rows, keys] from row `target` on, or nowhere
   * @param slopes the same for d(loss) / d(score)
   */
  tile(
    at: (row: Index) => QueryRow,
    key: Index,
    panels: Index,
    row: Index,
    rows: number,
    target: Index,
    weights: Buffer | undefined,
    slopes: Buffer | undefined,
  ): void {
    const b = this.#b;
    const { depth, width } = this.#reader.operands;
    const keys = this.#keys;
    const vectors = vectorsFor(b, rows);
    const panel = vectors * b.lanes;
    const zeros = new Array<Value>(rows * vectors).fill(b.splat(b.const('f32', 0)));
    b.loop(panels, 'serial', [], (p) => {
      const column = mul(p, panel);
      const product = (left: Buffer, right: Buffer, terms: number) =>
        multiplyTile(b, {
          terms,
          rows,
          vectors,
          inits: zeros,
          left: (k, i) => b.load(left, add(mul(add(row, i), padded(b, terms)), k)),
          right: (k, v) =>
            b.load(right, add(mul(k, keys), add(add(column, b.laneIndex), v * b.lanes))),
        });
      const places = zeros.map((_, t) => {
        const i = Math.floor(t / vectors);
        const place = add(add(column, b.laneIndex), (t % vectors) * b.lanes);
        return { i, column: place, to: add(mul(add(target, i), keys), place) };
      });
      product(this.q, this.#k, depth).forEach((raw, t) => {
        const { i, column: place, to } = places[t];
        const query = at(add(row, i));
        const { score, slope } = finishScore(b, this.#reader, query, add(key, place), raw);
        const normaliser = b.splat(b.load(this.#normaliser, add(row, i)));
        const weight = expandUnary(b, 'exp', b.binary('sub', score, normaliser));
        if (weights) b.store(weights, to, weight);
        if (slopes) b.store(slopes, to, slope ? b.binary('mul', weight, slope) : weight);
      });
      if (!slopes) return;
      product(this.upstream, this.#v, width).forEach((raw, t) => {
        const { i, to } = places[t];
        const delta = b.splat(b.load(this.#delta, add(row, i)));
        const weight = b.load(slopes, to);
        b.store(slopes, to, b.binary('mul', weight, b.binary('sub', raw, delta)));
      });
    });
  }
}

/** Hands over a row of a tile [rows, padded width]. */
export function writeRow(
  b: KernelBuilder,
  from: Buffer,
  row: Index,
  width: number,
  write: (column: Index, value: Value, mask: readonly Index[]) => void,
  factor = 1,
): void {
  const zero = b.splat(b.const('f32', 0));
  eachVector(b, width, (column, mask) => {
    // What a skipped tile would have made of -0.
    const sum = b.binary('add', b.load(from, add(mul(row, padded(b, width)), column)), zero);
    const value = factor === 1 ? sum : b.binary('mul', sum, b.const('f32', Math.fround(factor)));
    write(column, value, mask);
  });
}
