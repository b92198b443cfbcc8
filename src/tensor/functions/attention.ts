import { badArgument } from '../../base/errors.ts';
import * as g from '../../ir/graph/build.ts';
import { dimsEqual, formatShape, maxDim } from '../../ir/shape.ts';
import { arange, type Tensor } from '../tensor.ts';

export interface AttentionOptions {
  /**
   * [batch or 1, heads or 1, queries or 1, keys], fewer axes meaning 1: true where a key may be
   * seen, or floats that are added to the scores. A query that may see nothing gets zeros.
   */
  readonly mask?: Tensor | undefined;
  /** Query i sees keys 0..i, counted from the first key even where there are more keys. */
  readonly isCausal?: boolean;
  /** What the scores are multiplied by (default 1 / sqrt(d)). */
  readonly scale?: number | null;
  /** Several query heads share a key and value head: query head h uses h // (heads / kv heads). */
  readonly enableGqa?: boolean;
  /** Scores become c tanh(score / c) before masking (Gemma 2). */
  readonly softcap?: number | null;
}

/**
 * softmax(q k' scale) v (Vaswani et al. 2017; torch.nn.functional.scaled_dot_product_attention).
 *
 * @param q [batch, heads, queries, d]
 * @param k [batch, kv heads, keys, d]
 * @param v [batch, kv heads, keys, width]
 * @returns [batch, heads, queries, width]
 */
export function scaledDotProductAttention(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  options: AttentionOptions = {},
): Tensor {
  const { mask, isCausal = false, softcap } = options;
  const group = requireOperands(q, k, v, options.enableGqa ?? false);
  const [batch, heads, queries, d] = q.shape;
  const kvHeads = k.shape[1];
  const scale = options.scale ?? 1 / Math.sqrt(maxDim(d));
  // The heads of a group become rows of the product: keys and values are never repeated. Queries
  // stand in front of them, because a symbolic axis must be the first of the rows.
  const rows = widened(q).reshape([batch, kvHeads, group, queries, d]).permute([0, 1, 3, 2, 4]);
  const scores = product(rows, widened(k).transpose()).mul(scale);
  const capped = softcap ? scores.div(softcap).tanh().mul(softcap) : scores;
  const masked = mask ? withMask(capped, mask) : capped;
  const visible = isCausal ? causal(masked) : masked;
  const output = average(visible, widened(v), mask !== undefined);
  const merged = output.permute([0, 1, 3, 2, 4]).reshape([batch, heads, queries, v.shape[3]]);
  return merged.cast(q.dtype);
}

/**
 * The values weighted by the softmax of the scores. The division comes last, since there are fewer
 * results than scores.
 *
 * @param scores [batch, kv heads, queries, group, keys]
 * @param v [batch, kv heads, keys, width]
 */
function average(scores: Tensor, v: Tensor, mayBeBlind: boolean): Tensor {
  const top = scores.max(-1, true).detach();
  if (!mayBeBlind) {
    const weights = scores.sub(top).exp();
    return product(weights, v).div(weights.sum(-1, true));
  }
  // Rows of nothing but -infinity: their weights are all 0, and so is their sum.
  const finite = top.eq(Number.NEGATIVE_INFINITY).where(0, top);
  const weights = scores.sub(finite).exp();
  const sum = weights.sum(-1, true);
  return product(weights, v).div(sum.eq(0).where(1, sum));
}

/** [batch, heads, ..., n] times [batch, heads, n, m]. */
function product(x: Tensor, y: Tensor): Tensor {
  return x.derive(g.dot(x.node, y.node, 2, 1), y);
}

/** 16-bit operands take part in f32: scores need its range. */
function widened(x: Tensor): Tensor {
  return x.dtype === 'f64' ? x : x.cast('f32');
}

function causal(scores: Tensor): Tensor {
  const [, , queries, , keys] = scores.shape;
  const places = { device: scores.device };
  const row = arange(maxDim(queries), places).reshape([-1, 1, 1]);
  const key = arange(maxDim(keys), places);
  return key.le(row).where(scores, Number.NEGATIVE_INFINITY);
}

function withMask(scores: Tensor, mask: Tensor): Tensor {
  if (mask.rank > 4) {
    const got = formatShape(mask.shape);
    throw new TypeError(`attention: mask is ${got}; expected [batch, heads, queries, keys]`);
  }
  const [, kvHeads, , group] = scores.shape;
  const lead = Array.from({ length: 4 - mask.rank }, () => 1);
  const [batch, heads, ...rest] = [...lead, ...mask.shape];
  const split = heads === 1 ? [1, 1] : [kvHeads, group];
  const spread = mask.reshape([batch, ...split, ...rest]).permute([0, 1, 3, 2, 4]);
  if (mask.dtype === 'bool') return spread.where(scores, Number.NEGATIVE_INFINITY);
  return scores.add(spread);
}

/** Checks shapes; gives the number of query heads for each key head. */
function requireOperands(q: Tensor, k: Tensor, v: Tensor, enableGqa: boolean): number {
  for (const [name, x] of Object.entries({ q, k, v })) {
    if (x.rank === 4) continue;
    const got = formatShape(x.shape);
    throw new TypeError(`attention: ${name} is ${got}; expected [batch, heads, time, d]`);
  }
  const agree =
    dimsEqual(q.shape[0], k.shape[0]) &&
    dimsEqual(q.shape[3], k.shape[3]) &&
    k.shape.slice(0, 3).every((d, i) => dimsEqual(d, v.shape[i]));
  if (!agree) {
    const [a, b, c] = [q, k, v].map((x) => formatShape(x.shape));
    throw new TypeError(
      `attention: q ${a}, k ${b} and v ${c} do not agree; expected q [b, h, n, d], ` +
        'k [b, kv, m, d] and v [b, kv, m, w]',
    );
  }
  const [heads, kvHeads] = [maxDim(q.shape[1]), maxDim(k.shape[1])];
  if (heads === kvHeads) return 1;
  if (enableGqa && kvHeads > 0 && heads % kvHeads === 0) return heads / kvHeads;
  const expected = enableGqa ? `a divisor of ${heads}` : `${heads} (or enableGqa)`;
  throw badArgument('attention', 'the number of heads of k', kvHeads, expected);
}
