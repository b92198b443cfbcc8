import { badArgument } from '../base/errors.ts';
import { formatShape, sizeOf } from '../ir/shape.ts';
import { arange, concat, stack, type Tensor, zeros } from '../tensor/index.ts';
import type { Layer } from './containers.ts';
import { type FeedForwardOptions, GatedMLP } from './feed-forward.ts';
import { Linear } from './layers.ts';
import { Module } from './module.ts';
import { checkSizes } from './new-parameter.ts';

export interface MixtureOfExpertsOptions extends FeedForwardOptions {
  readonly experts: number;
  /** Experts that see a token. */
  readonly topK: number;
  /** The weights of a token's experts are scaled to add up to 1 (default true, as Mixtral). */
  readonly normalise?: boolean;
  /**
   * An expert takes at most factor * tokens * topK / experts tokens, rounded up; what comes later is
   * dropped, first choices before second ones (Lepikhin et al. 2020). Default: no limit.
   */
  readonly capacityFactor?: number;
  /** The experts (default: gated MLPs). */
  readonly expert?: (index: number) => Layer;
}

export interface Routing {
  /** Share of each expert for each token, [tokens, experts]: the softmax of the router. */
  readonly probabilities: Tensor;
  /** The experts of each token, best first, i32 [tokens, topK]. */
  readonly chosen: Tensor;
  /** Their weights, [tokens, topK]. */
  readonly weights: Tensor;
  /**
   * experts * sum of (tokens' share that chose an expert) times (its mean probability): topK where all
   * are equal (Fedus et al. 2022; of all choices, as Mixtral).
   */
  readonly balanceLoss: Tensor;
  /** Mean square of the router's log-sum-exp: keeps its logits small (Zoph et al. 2022). */
  readonly zLoss: Tensor;
}

export interface MixtureResult extends Routing {
  readonly output: Tensor;
  /** Share of choices that no expert took, a scalar: 0 without a capacity. */
  readonly dropped: Tensor;
}

/**
 * A layer of experts, of which a router chooses a few for each token (Shazeer et al. 2017). Without a
 * capacity every expert computes every token and those not chosen count 0: exact, at the cost of a
 * dense layer. With one each expert computes its capacity of tokens, picked by their places.
 * Gradients reach the router through the weights.
 */
export class MixtureOfExperts extends Module {
  readonly gate: Linear;
  readonly experts: readonly Layer[];
  readonly topK: number;
  readonly #normalise: boolean;
  readonly #capacityFactor: number | undefined;

  constructor(size: number, hidden: number, options: MixtureOfExpertsOptions) {
    super();
    const { experts, topK, normalise = true, capacityFactor, expert } = options;
    checkSizes('MixtureOfExperts', { size, hidden, experts, topK });
    if (topK > experts) {
      throw badArgument('MixtureOfExperts', 'topK', topK, `at most the ${experts} experts`);
    }
    if (capacityFactor !== undefined && !(capacityFactor > 0)) {
      throw badArgument('MixtureOfExperts', 'capacityFactor', capacityFactor, 'a number > 0');
    }
    this.gate = new Linear(size, experts, { ...options, bias: false });
    const make = expert ?? (() => new GatedMLP(size, hidden, options));
    this.experts = Array.from({ length: experts }, (_, i) => make(i));
    this.topK = topK;
    this.#normalise = normalise;
    this.#capacityFactor = capacityFactor;
  }

  /** x [..., size] to the same shape. */
  forward(x: Tensor): Tensor {
    return this.mixture(x).output;
  }

  /** As `forward`, with what training adds to its loss. */
  mixture(x: Tensor): MixtureResult {
    const width = x.shape[x.rank - 1];
    const tokens = sizeOf(x.shape.slice(0, -1));
    if (x.rank < 2 || x.shape.some((d) => typeof d !== 'number')) {
      const got = formatShape(x.shape);
      throw new TypeError(`MixtureOfExperts: x is ${got}; expected a static shape [..., size]`);
    }
    const rows = x.reshape([tokens, width]);
    const routing = this.route(rows);
    const { output, dropped } =
      this.#capacityFactor === undefined
        ? this.#everywhere(rows, routing)
        : this.#dispatched(rows, routing, this.#capacityFactor);
    return { ...routing, output: output.reshape(x.shape), dropped };
  }

  /** The router's choices for rows [tokens, size]. */
  route(rows: Tensor): Routing {
    const logits = this.gate.forward(rows).cast('f32');
    const probabilities = logits.softmax(-1);
    const { values, indices } = probabilities.topk(this.topK);
    const weights = this.#normalise ? values.div(values.sum(-1, true)) : values;
    const count = this.experts.length;
    const share = this.#choices(indices).cast('f32').sum(1).mean(0).detach();
    return {
      probabilities,
      chosen: indices,
      weights,
      balanceLoss: share.mul(probabilities.mean(0)).sum().mul(count),
      zLoss: logits.logsumexp(-1).square().mean(),
    };
  }

  /** True where a choice is the expert: [tokens, topK] to [tokens, topK, experts]. */
  #choices(chosen: Tensor): Tensor {
    return chosen.unsqueeze(-1).eq(arange(this.experts.length, { device: chosen.device }));
  }

  #everywhere(rows: Tensor, { chosen, weights }: Routing) {
    const shares = this.#choices(chosen).where(weights.unsqueeze(-1), 0).sum(1); // [tokens, experts]
    const outputs = this.experts.map((expert, e) =>
      expert.forward(rows).mul(shares.narrow(1, e, 1).cast(rows.dtype)),
    );
    const [first, ...others] = outputs;
    return {
      output: others.reduce((sum, y) => sum.add(y), first),
      dropped: zeros([], { device: rows.device }),
    };
  }

  #dispatched(rows: Tensor, { chosen, weights }: Routing, factor: number) {
    const [tokens, size] = rows.shape as readonly number[];
    const { device } = rows;
    const count = this.experts.length;
    const pairs = tokens * this.topK;
    const capacity = Math.min(tokens, Math.ceil((factor * pairs) / count));
    // First choices of all tokens, then second ones: [topK, tokens] in one row.
    const byRank = chosen.transpose().reshape([pairs]);
    const isExpert = byRank.unsqueeze(1).eq(arange(count, { device })).cast('i32');
    const place = isExpert.cumsum(0).mul(isExpert).sum(1).sub(1); // among those of its expert
    const kept = place.lt(capacity);
    const none = count * capacity;
    const slot = kept.where(byRank.mul(capacity).add(place), none);
    // Who sits in each slot; nobody is the row of zeros behind the tokens.
    const sitting = arange(pairs, { device }).remainder(tokens);
    const seats = sitting
      .mul(0)
      .sum()
      .add(tokens)
      .expand([none + 1]);
    const occupant = seats.scatter(0, slot, sitting).narrow(0, 0, none);
    const padded = concat([rows, zeros([1, size], { device, dtype: rows.dtype })]);
    const inputs = padded.embedding(occupant.reshape([count, capacity]));
    const outputs = stack(this.experts.map((expert, e) => expert.forward(inputs.select(0, e))));
    const blank = zeros([1, size], { device, dtype: rows.dtype });
    const results = concat([outputs.reshape([none, size]), blank]).embedding(slot);
    const scaled = results.mul(weights.transpose().reshape([pairs, 1]).cast(rows.dtype));
    return {
      output: scaled.reshape([this.topK, tokens, size]).sum(0),
      dropped: kept.logicalNot().cast('f32').mean(),
    };
  }
}
