import { badArgument } from '../../base/errors.ts';
import type { AttentionAttributes } from '../../compile/index.ts';
import * as g from '../../ir/graph/build.ts';
import type { CallArg, Plain } from '../../ir/graph/types.ts';
import { type Dim, dimsEqual, formatShape, isVar, maxDim, type Var } from '../../ir/shape.ts';
import { productOperands } from '../autocast.ts';
import { Lazy } from '../lazy.ts';
import { Tensor } from '../tensor.ts';
import {
  type AttentionParts,
  type AttentionSettings,
  composeAttention,
  composeLogSumExp,
} from './attention-body.ts';

export interface AttentionOptions {
  /**
   * [batch or 1, heads or 1, queries or 1, keys], fewer axes meaning 1: true where a key may be
   * seen, or floats that are added to the scores. A query that may see nothing gets zeros.
   */
  readonly mask?: Tensor | undefined;
  /** The query at position p sees keys 0..p, also where there are more keys. */
  readonly isCausal?: boolean;
  /** What the scores are multiplied by (default 1 / sqrt(d)). */
  readonly scale?: number | null;
  /** Several query heads share a key and value head: query head h uses h // (heads / kv heads). */
  readonly enableGqa?: boolean;
  /** Scores become c tanh(score / c) before masking (Gemma 2). */
  readonly softcap?: number | null;
  /** With isCausal: the query at position p sees the keys p - w + 1 .. p alone (Mistral). */
  readonly slidingWindow?: number | null;
  /**
   * With isCausal: the position of the first query among the keys (default 0), for queries that
   * follow keys computed before. A number, a var, or i32 [] or [batch]; beyond the number of keys
   * (at their most) is a RangeError.
   */
  readonly queryOffset?: number | Var | Tensor;
}

export interface PagedAttentionOptions extends Omit<AttentionOptions, 'enableGqa'> {
  /** Keys of each sequence, a number or a var (default: all that the table can hold). */
  readonly keys?: Dim;
}

/**
 * softmax(q k' scale) v (Vaswani et al. 2017; torch.nn.functional.scaled_dot_product_attention).
 * Where the compiler's template takes it (f32) no array of queries x keys is ever made, in the
 * gradient neither.
 *
 * @param q [batch, heads, queries, d]; queries may be symbolic
 * @param k [batch, kv heads, keys, d]; keys may be symbolic
 * @param v [batch, kv heads, keys, width]
 * @returns [batch, heads, queries, width] of q's type
 */
export function scaledDotProductAttention(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  options: AttentionOptions = {},
): Tensor {
  requireOperands(q, k, v);
  requireGroups(q.shape[1], k.shape[1], options.enableGqa ?? false);
  return attention({ q, k, v }, k.shape[2], options, null, (parts) => parts);
}

/**
 * Attention over keys and values in a pool of blocks (Kwon et al. 2023): key j of sequence b is row
 * j mod size of block table[b, j div size]. Several query heads may share a key head.
 *
 * @param q [batch, heads, queries, d]
 * @param k [blocks, block size, kv heads, d]
 * @param v [blocks, block size, kv heads, width]
 * @param table i32 [batch, blocks of a sequence]; every entry must be the number of a block, also
 *   of those that no key needs: one out of range may be a RangeError
 * @returns [batch, heads, queries, width] of q's type
 */
export function pagedAttention(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  table: Tensor,
  options: PagedAttentionOptions = {},
): Tensor {
  requirePages(q, k, v, table);
  requireGroups(q.shape[1], k.shape[2], true);
  const room = maxDim(table.shape[1]) * maxDim(k.shape[1]);
  const keys = options.keys ?? room;
  if (maxDim(keys) > room) throw badArgument('pagedAttention', 'keys', keys, `at most ${room}`);
  const fetch = (pool: Tensor, pages: Tensor): Tensor => {
    const [, size, heads, width] = pool.shape;
    const [batch, count] = pages.shape;
    const rows = pool.embedding(pages).reshape([batch, maxDim(count) * maxDim(size), heads, width]);
    const whole = rows.permute([0, 2, 1, 3]);
    const ranges = whole.shape.map((d, axis): [number, Dim] => [0, axis === 2 ? keys : d]);
    return whole.derive(g.shrink(whole.node, ranges));
  };
  return attention({ q, k, v, table }, keys, options, keys, ({ table: pages, ...parts }) => {
    if (!pages) return parts;
    return { ...parts, k: fetch(parts.k, pages), v: fetch(parts.v, pages) };
  });
}

type Sources = AttentionParts & { readonly table?: Tensor | undefined };

/** The call: its body is the composition, over stand-ins for the operands. */
function attention(
  operands: Sources,
  keys: Dim,
  options: AttentionOptions,
  pagedKeys: Dim | null,
  arrange: (sources: Sources) => AttentionParts,
): Tensor {
  // What they are rounded to is kept in f32 from here on: scores and weights are never rounded.
  const [q, k, v] = productOperands(operands.q, operands.k, operands.v);
  const settings = settingsOf(q, options);
  const offset = settings.isCausal ? offsetOf(q, keys, options.queryOffset) : undefined;
  const mask = options.mask && asMask(options.mask);
  const sources = Object.entries({
    q: widened(q),
    k: widened(k),
    v: widened(v),
    mask: mask && (mask.dtype === 'bool' ? mask : mask.cast(widened(q).dtype)),
    offset,
    table: operands.table,
  }).filter((entry): entry is [string, Tensor] => entry[1] !== undefined);
  const parameters = sources.map(([name, x]) => g.bufferNode(x.dtype, x.shape, name));
  const inner = Object.fromEntries(
    sources.map(([name], i) => [name, new Tensor(new Lazy(q.device, parameters[i], []))]),
  );
  const parts = arrange(inner as unknown as Sources);
  const attributes: AttentionAttributes = { ...settings, keys: pagedKeys };
  const arg: CallArg = {
    name: 'attention',
    parameters,
    body: composeAttention(parts, settings).node,
    attributes: attributes as unknown as Plain,
    saved: { name: 'attention.lse', body: composeLogSumExp(parts, settings).node },
  };
  const [first, ...others] = sources.map(([, x]) => x);
  const nodes = sources.map(([, x]) => x.node);
  return first.derive(g.call(nodes, arg), ...others).cast(q.dtype);
}

function settingsOf(q: Tensor, options: AttentionOptions): AttentionSettings {
  const { isCausal = false, slidingWindow = null, queryOffset } = options;
  if (slidingWindow !== null && !(Number.isInteger(slidingWindow) && slidingWindow > 0)) {
    throw badArgument('attention', 'slidingWindow', slidingWindow, 'an integer > 0');
  }
  if (!isCausal && (slidingWindow !== null || queryOffset !== undefined)) {
    const name = slidingWindow === null ? 'queryOffset' : 'slidingWindow';
    throw new TypeError(`attention: ${name} is given without isCausal; set isCausal: true`);
  }
  return {
    scale: options.scale ?? 1 / Math.sqrt(maxDim(q.shape[3])),
    isCausal,
    slidingWindow,
    softcap: options.softcap || null,
  };
}

/** The offset as an i32 source; none for 0. */
function offsetOf(q: Tensor, keys: Dim, offset: AttentionOptions['queryOffset']) {
  if (offset === undefined || offset === 0) return undefined;
  const most = maxDim(keys);
  if (typeof offset === 'number') {
    if (!Number.isInteger(offset) || offset < 0 || offset > most) {
      throw badArgument('attention', 'queryOffset', offset, `an integer from 0 to ${most}`);
    }
    return new Tensor(new Lazy(q.device, g.scalar(offset, 'i32'), []));
  }
  if (!(offset instanceof Tensor)) {
    return new Tensor(new Lazy(q.device, g.makeNode('var', [], { variable: offset }), []));
  }
  const fits =
    offset.dtype === 'i32' &&
    (offset.rank === 0 || (offset.rank === 1 && dimsEqual(offset.shape[0], q.shape[0])));
  if (fits) return offset;
  const got = `${offset.dtype}${formatShape(offset.shape)}`;
  throw new TypeError(`attention: queryOffset is ${got}; expected i32[] or i32[batch]`);
}

/** 16-bit operands take part in f32: scores need its range. */
function widened(x: Tensor): Tensor {
  return x.dtype === 'f64' ? x : x.cast('f32');
}

/** A mask with all four axes. */
function asMask(mask: Tensor): Tensor {
  if (mask.rank > 4) {
    const got = formatShape(mask.shape);
    throw new TypeError(`attention: mask is ${got}; expected [batch, heads, queries, keys]`);
  }
  const lead = Array.from({ length: 4 - mask.rank }, () => 1);
  return mask.reshape([...lead, ...mask.shape]);
}

function requireRank(name: string, x: Tensor, axes: string): void {
  if (x.rank === 4) return;
  throw new TypeError(`attention: ${name} is ${formatShape(x.shape)}; expected ${axes}`);
}

function requireOperands(q: Tensor, k: Tensor, v: Tensor): void {
  for (const [name, x] of Object.entries({ q, k, v })) {
    requireRank(name, x, '[batch, heads, time, d]');
  }
  const agree =
    dimsEqual(q.shape[0], k.shape[0]) &&
    dimsEqual(q.shape[3], k.shape[3]) &&
    k.shape.slice(0, 3).every((d, i) => dimsEqual(d, v.shape[i]));
  if (agree) return;
  const [a, b, c] = [q, k, v].map((x) => formatShape(x.shape));
  throw new TypeError(
    `attention: q ${a}, k ${b} and v ${c} do not agree; expected q [b, h, n, d], ` +
      'k [b, kv, m, d] and v [b, kv, m, w]',
  );
}

function requirePages(q: Tensor, k: Tensor, v: Tensor, table: Tensor): void {
  requireRank('q', q, '[batch, heads, queries, d]');
  requireRank('k', k, '[blocks, block size, kv heads, d]');
  requireRank('v', v, '[blocks, block size, kv heads, width]');
  const agree =
    dimsEqual(q.shape[3], k.shape[3]) &&
    k.shape.slice(0, 3).every((d, i) => dimsEqual(d, v.shape[i])) &&
    table.rank === 2 &&
    table.dtype === 'i32' &&
    dimsEqual(table.shape[0], q.shape[0]) &&
    ![...k.shape, ...v.shape, ...table.shape].some(isVar);
  if (agree) return;
  const [a, b, c, d] = [q, k, v, table].map((x) => formatShape(x.shape));
  throw new TypeError(
    `pagedAttention: q ${a}, k ${b}, v ${c} and table ${table.dtype}${d} do not agree; expected ` +
      'q [b, h, n, d], k [blocks, size, kv, d], v [blocks, size, kv, w] and table i32[b, pages]',
  );
}

/** Query heads must be a multiple of key heads. */
function requireGroups(queryHeads: Dim, keyHeads: Dim, enableGqa: boolean): void {
  const [heads, kvHeads] = [maxDim(queryHeads), maxDim(keyHeads)];
  if (heads === kvHeads) return;
  if (enableGqa && kvHeads > 0 && heads % kvHeads === 0) return;
  const expected = enableGqa ? `a divisor of ${heads}` : `${heads} (or enableGqa)`;
  throw badArgument('attention', 'the number of heads of k', kvHeads, expected);
}
