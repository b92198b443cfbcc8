import type { KernelBuilder } from '../../ir/kernel/builder.ts';
import {
  add,
  constant,
  div,
  type Index,
  mod,
  mul,
  range,
  sub,
} from '../../ir/kernel/index-expr.ts';
import type { Value } from '../../ir/kernel/types.ts';
import { isVar, maxDim } from '../../ir/shape.ts';
import { expandUnary } from '../lower/math/index.ts';
import type { AttentionReader } from './attention-operands.ts';
import { stepsUpTo, tiled, tileRows, vectorsFor, when } from './attention-tiles.ts';

/** Keys of a tile. It decides where running sums are rescaled, so it is one number for all. */
const KEYS = 32;
/** Queries (of all heads of a group) that share a packed tile of keys. */
const ROWS = 64;

/** How queries and keys are cut into blocks and tiles. */
export interface Blocking {
  /** Queries of a block. */
  readonly queries: number;
  /** Rows of a block: its queries in each head of the group, head after head. */
  readonly rows: number;
  /** Rows of a register tile; divides `rows`. */
  readonly tile: number;
  readonly blocks: Index;
  /** Keys of a tile: fewer than 32 where there are fewer in all. */
  readonly keys: number;
  readonly keyTiles: Index;
}

export function blockingOf(reader: AttentionReader): Blocking {
  const { queries: n, keys: m, group } = reader.operands;
  const most = maxDim(n);
  const full = tileRows(reader);
  const target = Math.max(full, Math.floor(ROWS / group / full) * full);
  const blocks = Math.ceil(most / target);
  const queries = most < full ? most : tiled(most / blocks, full);
  const rows = queries * group;
  const tile = [full, 4, 3, 2, 1].find((t) => rows % t === 0) ?? 1;
  const panel = vectorsFor(reader, tile) * reader.lanes;
  const keys = isVar(m) ? KEYS : Math.min(KEYS, Math.ceil(m / panel) * panel);
  const cut = (x: Index, by: number) => div(add(x, by - 1), by);
  return {
    queries,
    rows,
    tile,
    blocks: cut(reader.queries, queries),
    keys,
    keyTiles: cut(reader.keys, keys),
  };
}

/** Where a run of queries of one batch member stands. */
export interface QueryRange {
  readonly batch: Index;
  /** Position of query 0 among the keys. */
  readonly offset: Index;
  /** Number of the first query. */
  readonly first: Index;
  readonly count: number;
}

/** Runs `body` unless none of the queries may see any of `count` keys from `key` on. */
export function whenVisible(
  b: KernelBuilder,
  reader: AttentionReader,
  queries: QueryRange,
  key: Index,
  count: number,
  body: () => void,
): void {
  const { isCausal, slidingWindow } = reader.operands.attributes;
  const position = add(queries.offset, queries.first);
  const inWindow = () => {
    if (slidingWindow === null) body();
    else when(b, add(sub(key, position), count - 2 + slidingWindow), body);
  };
  if (isCausal) when(b, sub(add(position, queries.count - 1), key), inWindow);
  else inWindow();
}

/**
 * Panels of a key tile, each `panel` keys wide, that some of the queries may see: those beyond hold
 * nothing but weights of 0, and need not be computed.
 */
export function panelsSeen(
  reader: AttentionReader,
  queries: QueryRange,
  key: Index,
  keys: number,
  panel: number,
): Index {
  const panels = keys / panel;
  if (!reader.operands.attributes.isCausal) return constant(panels);
  const last = add(add(queries.offset, queries.first), queries.count - 1);
  return stepsUpTo(sub(last, key), panel, panels);
}

/** A query row in the kernel. */
export interface QueryRow {
  readonly batch: Index;
  readonly head: Index;
  readonly query: Index;
  readonly offset: Index;
}

/** Row number `row` of a block: heads of the group one after the other. */
export function rowOf(range: QueryRange, kv: Index, group: number, row: Index): QueryRow {
  const { batch, offset, first, count } = range;
  return {
    batch,
    offset,
    head: add(mul(kv, group), div(row, count)),
    query: add(first, mod(row, count)),
  };
}

/**
 * What the score of a query with keys (the index holds the lane) comes to: capped, masked, and
 * -infinity for keys that it may not see. The slope is d(capped) / d(score), 1 when undefined.
 */
export function finishScore(
  b: KernelBuilder,
  reader: AttentionReader,
  at: QueryRow,
  key: Index,
  score: Value,
): { score: Value; slope: Value | undefined } {
  const { softcap, isCausal, slidingWindow } = reader.operands.attributes;
  const float = (x: number) => b.const('f32', Math.fround(x));
  let value = score;
  let slope: Value | undefined;
  if (softcap !== null) {
    const t = expandUnary(b, 'tanh', b.binary('mul', score, float(1 / softcap)));
    slope = b.binary('sub', float(1), b.binary('mul', t, t));
    value = b.binary('mul', t, float(softcap));
  }
  const nothing = b.splat(b.const('f32', Number.NEGATIVE_INFINITY));
  const inside = [sub(sub(reader.queries, 1), at.query), sub(sub(reader.keys, 1), key)];
  const open = inside.filter((m) => range(m).min < 0);
  const mask = reader.mask(at.batch, at.head, at.query, key, open);
  if (mask?.dtype === 'bool') value = b.select(mask, value, nothing);
  else if (mask) value = b.binary('add', value, mask);
  const places = b.index(key);
  const position = b.index(add(at.offset, at.query));
  const conditions: Value[] = [];
  if (range(inside[1]).min < 0) conditions.push(b.compare('lt', places, b.index(reader.keys)));
  if (isCausal) conditions.push(b.compare('le', places, position));
  if (slidingWindow !== null) {
    const before = b.index(sub(add(at.offset, at.query), slidingWindow));
    conditions.push(b.compare('lt', before, places));
  }
  const seen = conditions.reduce((x, c) => b.select(c, x, nothing), b.splat(value));
  return { score: seen, slope };
}
