import { crossEntropy } from '../tensor/functions/index.ts';
import type { Tensor } from '../tensor/index.ts';

/**
 * Mean cross-entropy in nats: `CausalLM.loss` after the logits.
 *
 * @param logits [batch, time, vocabulary]
 * @param targets [batch, time]; weights likewise
 */
export function nextTokenLoss(logits: Tensor, targets: Tensor, weights?: Tensor): Tensor {
  const rows = logits.reshape([-1, logits.shape[2]]);
  const labels = targets.reshape([-1]);
  if (!weights) return crossEntropy(rows, labels);
  const losses = crossEntropy(rows, labels, { reduction: 'none' });
  return losses
    .mul(weights.reshape([-1]))
    .sum()
    .div(weights.sum());
}
