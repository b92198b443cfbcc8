import { badArgument } from '../base/errors.ts';
import type { Parameter, Shape, Tensor } from '../tensor/index.ts';
import { average, shrunk, type UpdateRule, zerosLike } from './rule.ts';
import { type OptimizerOptions, RuleOptimizer } from './rule-optimizer.ts';
import { type CommonSettings, checkDecay, checkRange } from './settings.ts';

/** How the rate depends on a matrix's shape: by its form (Jordan), or to Adam's usual size (Moonshot). */
const RATES = ['original', 'match_rms_adamw'] as const;

export interface MuonSettings extends CommonSettings {
  readonly momentum: number;
  readonly nesterov: boolean;
  /** Of the quintic a x + b x^3 + c x^5 that is iterated (default 3.4445, -4.775, 2.0315). */
  readonly nsCoefficients: readonly [number, number, number];
  /** Least norm that a direction is divided by (default 1e-7). */
  readonly eps: number;
  /** Iterations (default 5). */
  readonly nsSteps: number;
  /** 'original': lr sqrt(max(1, rows / columns)); 'match_rms_adamw': 0.2 lr sqrt(max(rows, columns)). */
  readonly adjustLrFn: string;
}

export const muonRule: UpdateRule<MuonSettings> = {
  name: 'Muon',
  defaults: {
    lr: 1e-3,
    weightDecay: 0.1,
    momentum: 0.95,
    nesterov: true,
    nsCoefficients: [3.4445, -4.775, 2.0315],
    eps: 1e-7,
    nsSteps: 5,
    adjustLrFn: 'original',
    maximize: false,
  },
  check({ momentum, eps, nsSteps, adjustLrFn }) {
    checkDecay('Muon', 'momentum', momentum);
    checkRange('Muon', 'eps', eps, 0);
    if (!Number.isInteger(nsSteps) || nsSteps < 1 || nsSteps > 99) {
      throw badArgument('Muon', 'nsSteps', nsSteps, 'an integer from 1 to 99');
    }
    if (!RATES.some((known) => known === adjustLrFn)) {
      throw badArgument('Muon', 'adjustLrFn', adjustLrFn, RATES.join(' or '));
    }
  },
  accepts(name, shape) {
    if (shape.length === 2) return;
    const expected = "a matrix; give other parameters to another optimiser (makeOptimizer's rest)";
    throw badArgument('Muon', name, shape, expected);
  },
  state: (_settings, shape) => zerosLike(shape, 'momentum_buffer'),
  momentum: ({ momentum }) => momentum,
  counts: () => false,
  begin(settings, { lr, momentum }) {
    return (at) => {
      const buffer = average(at.get('momentum_buffer'), at.g, momentum);
      at.set('momentum_buffer', buffer);
      const direction = settings.nesterov ? average(buffer, at.g, momentum) : buffer;
      const rate = lr.mul(rateFactor(settings, at.p.shape));
      return shrunk(at, lr).sub(orthogonalised(direction, settings).mul(rate));
    };
  },
};

function rateFactor({ adjustLrFn }: MuonSettings, shape: Shape): number {
  const [rows, columns] = shape as readonly [number, number];
  return adjustLrFn === 'original'
    ? Math.sqrt(Math.max(1, rows / columns))
    : 0.2 * Math.sqrt(Math.max(rows, columns));
}

/**
 * The matrix [rows, columns] with singular values near 1, by the Newton-Schulz iteration in f32
 * (PyTorch's runs in bfloat16 and differs by its rounding).
 */
function orthogonalised(x: Tensor, { nsCoefficients, nsSteps, eps }: MuonSettings): Tensor {
  const [a, b, c] = nsCoefficients;
  const [rows, columns] = x.shape as readonly [number, number];
  // The products are of the shorter side.
  const tall = rows > columns;
  let y = tall ? x.transpose(0, 1) : x;
  y = y.div(y.mul(y).sum().sqrt().maximum(eps));
  for (let i = 0; i < nsSteps; i++) {
    const gram = y.matmul(y.transpose(0, 1));
    const polynomial = gram.mul(b).add(gram.matmul(gram).mul(c));
    y = y.mul(a).add(polynomial.matmul(y));
  }
  return tall ? y.transpose(0, 1) : y;
}

/** Momentum made orthogonal, for matrices (Jordan et al. 2024), with PyTorch's defaults. */
export class Muon extends RuleOptimizer<MuonSettings> {
  constructor(
    parameters: ReadonlyMap<string, Parameter>,
    options: OptimizerOptions<MuonSettings> = {},
  ) {
    super(muonRule, parameters, options);
  }
}
