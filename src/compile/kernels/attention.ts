import type { NodeOf } from '../../ir/graph/types.ts';
import { isVar } from '../../ir/shape.ts';
import { buildKeyGradients, gradientsTogether } from './attention-backward-keys.ts';
import { buildQueryGradient } from './attention-backward-queries.ts';
import { buildForward } from './attention-forward.ts';
import { AttentionOperands } from './attention-operands.ts';
import type { CallTemplate } from './call-template.ts';

function refusal(call: NodeOf<'call'>): string | undefined {
  return new AttentionOperands(call).fault();
}

function refusalByPool(call: NodeOf<'call'>): string | undefined {
  const operands = new AttentionOperands(call);
  return operands.source('table') ? 'a gradient by a pool of blocks' : operands.fault();
}

const forward: CallTemplate = {
  family: () => 'attention',
  takesEpilogue: false,
  readsOnce: false,
  refusal,
  slower,
  build: buildForward,
};

/** Keys up to which scores that are all needed are better kept than computed again. */
const FEW_KEYS = 128;

/**
 * Gradients compute the scores once more, which costs less than what a causal mask saves. Without
 * one, at 64 queries and keys of 48 heads of 32, forward and gradients take 2.9 ms against 2.1 ms
 * for the products one by one; the arrays of scores are small then.
 */
function slower(call: NodeOf<'call'>): string | undefined {
  const { attributes, keys, queries } = new AttentionOperands(call);
  if (attributes.isCausal || isVar(keys) || isVar(queries)) return undefined;
  return keys <= FEW_KEYS ? `all of only ${keys} keys are seen` : undefined;
}

const buildGradients: CallTemplate['build'] = (b, lowering, results) => {
  const [first, ...others] = results;
  const alone = others.length === 0 && first.call.arg.name === 'attention.dq';
  if (alone) buildQueryGradient(b, lowering, first);
  else buildKeyGradients(b, lowering, results);
};

const together = (call: NodeOf<'call'>) => gradientsTogether(new AttentionOperands(call));

const byQueries: CallTemplate = {
  family: (call) => (together(call) ? 'attention gradients' : 'attention.dq'),
  takesEpilogue: false,
  readsOnce: false,
  refusal,
  slower,
  build: buildGradients,
};
const byKeys: CallTemplate = {
  family: (call) => (together(call) ? 'attention gradients' : 'attention.dkv'),
  takesEpilogue: false,
  readsOnce: false,
  refusal: refusalByPool,
  slower,
  build: buildGradients,
};

/** The calls of attention and of its gradients (see `AttentionOperands` for their sources). */
export const attentionTemplates: readonly (readonly [string, CallTemplate])[] = [
  ['attention', { ...forward, takesEpilogue: true }],
  ['attention.lse', forward],
  ['attention.dq', byQueries],
  ['attention.dk', byKeys],
  ['attention.dv', byKeys],
];
