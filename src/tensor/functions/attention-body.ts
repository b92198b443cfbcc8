import * as g from '../../ir/graph/build.ts';
import { type Dim, maxDim } from '../../ir/shape.ts';
import { Lazy } from '../lazy.ts';
import { arange, Tensor } from '../tensor.ts';

/** What the composition is made from: f32 or f64 operands, already checked. */
export interface AttentionParts {
  /** [batch, heads, queries, d] */
  readonly q: Tensor;
  /** [batch, kv heads, keys, d] */
  readonly k: Tensor;
  readonly v: Tensor;
  /** [batch or 1, heads or 1, queries or 1, keys or 1] */
  readonly mask?: Tensor | undefined;
  /** i32 [] or [batch] */
  readonly offset?: Tensor | undefined;
}

export interface AttentionSettings {
  readonly scale: number;
  readonly isCausal: boolean;
  readonly slidingWindow: number | null;
  readonly softcap: number | null;
}

/** Attention in single operations: what the templates are held to, and computed where none fits. */
export function composeAttention(parts: AttentionParts, settings: AttentionSettings): Tensor {
  const { weights, sum } = softmaxParts(parts, settings);
  // The division comes last, since there are fewer results than scores.
  return byHead(product(weights, parts.v).div(sum), parts.q);
}

/** The logarithm of each row's sum of exponentials [batch, heads, queries, 1]; blind rows give 0. */
export function composeLogSumExp(parts: AttentionParts, settings: AttentionSettings): Tensor {
  const { top, sum } = softmaxParts(parts, settings);
  return byHead(top.add(sum.log()), parts.q);
}

/** Unnormalised weights [batch, kv heads, queries, group, keys], and their sums (1 for blind rows). */
function softmaxParts(parts: AttentionParts, settings: AttentionSettings) {
  const scores = visibleScores(parts, settings);
  const top = scores.max(-1, true).detach();
  if (!parts.mask && settings.slidingWindow === null) {
    const weights = scores.sub(top).exp();
    return { top, weights, sum: weights.sum(-1, true) };
  }
  // Rows of nothing but -infinity: their weights are all 0, and so is their sum.
  const finite = top.eq(Number.NEGATIVE_INFINITY).where(0, top);
  const weights = scores.sub(finite).exp();
  const sum = weights.sum(-1, true);
  return { top: finite, weights, sum: sum.eq(0).where(1, sum) };
}

function visibleScores(
  { q, k, mask, offset }: AttentionParts,
  settings: AttentionSettings,
): Tensor {
  const [batch, heads, queries, d] = q.shape;
  const [, kvHeads, keys] = k.shape;
  const group = maxDim(heads) / maxDim(kvHeads);
  // The heads of a group become rows of the product: keys and values are never repeated. Queries
  // stand in front of them, because a symbolic axis must be the first of the rows.
  const rows = q.reshape([batch, kvHeads, group, queries, d]).permute([0, 1, 3, 2, 4]);
  const scores = product(rows, k.transpose()).mul(settings.scale);
  const { softcap, isCausal, slidingWindow } = settings;
  const capped = softcap === null ? scores : scores.div(softcap).tanh().mul(softcap);
  const masked = mask ? withMask(capped, mask) : capped;
  if (!isCausal) return masked;
  const row = counting(queries, q).reshape([1, 1, queries, 1, 1]);
  const position = offset ? row.add(checkedOffset(offset, keys)) : row;
  const key = counting(keys, q);
  const past = key.le(position).where(masked, Number.NEGATIVE_INFINITY);
  if (slidingWindow === null) return past;
  return key.gt(position.sub(slidingWindow)).where(past, Number.NEGATIVE_INFINITY);
}

/** [batch, kv heads, queries, group, n] as [batch, heads, queries, n]. */
function byHead(x: Tensor, q: Tensor): Tensor {
  const [batch, heads, queries] = q.shape;
  return x.permute([0, 1, 3, 2, 4]).reshape([batch, heads, queries, x.shape[4]]);
}

/** [batch, heads, ..., n] times [batch, heads, n, m]. */
function product(x: Tensor, y: Tensor): Tensor {
  return x.derive(g.dot(x.node, y.node, 2, 1), y);
}

function counting(length: Dim, like: Tensor): Tensor {
  return new Tensor(new Lazy(like.device, g.iota(length), []));
}

/** The offset [batch or 1, 1, 1, 1, 1] by way of a table, so that one beyond the keys is an error. */
function checkedOffset(offset: Tensor, keys: Dim): Tensor {
  const table = arange(maxDim(keys) + 1, { device: offset.device });
  return table.gather(0, offset.reshape([-1])).reshape([-1, 1, 1, 1, 1]);
}

function withMask(scores: Tensor, mask: Tensor): Tensor {
  const [, kvHeads, , group] = scores.shape;
  const [batch, heads, ...rest] = mask.shape;
  const split = heads === 1 ? [1, 1] : [kvHeads, group];
  const spread = mask.reshape([batch, ...split, ...rest]).permute([0, 1, 3, 2, 4]);
  if (mask.dtype === 'bool') return spread.where(scores, Number.NEGATIVE_INFINITY);
  return scores.add(spread);
}
