import { Llama, type LlamaConfig, llamaConfig } from '../models/index.ts';
import { AdamW } from '../optim/index.ts';
import {
  autocast,
  type DeviceName,
  jit,
  type Precision,
  random,
  type Tensor,
  tensor,
  valueAndGrad,
} from '../tensor/index.ts';

/** A llama with its batch: what a training step is measured with. */
export interface Reference {
  readonly config: LlamaConfig;
  readonly batch: number;
  readonly time: number;
  /** What products are computed in (default f32). */
  readonly precision?: Precision;
}

/** 922,752 parameters; the output layer is a matrix of its own. */
export const REFERENCE: Reference = {
  config: llamaConfig({
    vocab_size: 512,
    hidden_size: 128,
    intermediate_size: 344,
    num_hidden_layers: 4,
    num_attention_heads: 4,
    max_position_embeddings: 64,
    tie_word_embeddings: false,
  }),
  batch: 12,
  time: 64,
};

/** 5,008,640 parameters and longer sequences: more of the step is products and attention. */
export const WIDE_REFERENCE: Reference = {
  config: llamaConfig({
    vocab_size: 512,
    hidden_size: 256,
    intermediate_size: 688,
    num_hidden_layers: 6,
    num_attention_heads: 8,
    max_position_embeddings: 256,
    tie_word_embeddings: false,
  }),
  batch: 8,
  time: 256,
};

/**
 * Floating-point operations for a trained token, (6 N + 6 L T d): every parameter multiplies and
 * adds once forward and twice backward, and so does every visible pair of positions of the two
 * products of attention, half of all pairs being visible.
 */
export function flopsPerToken({ config, time }: Reference, parameters: number): number {
  return 6 * parameters + 6 * config.num_hidden_layers * time * config.hidden_size;
}

export interface TrainingStep {
  readonly parameters: number;
  /** Trains on the one batch; gives the loss, to be disposed of. */
  readonly step: () => Promise<Tensor>;
  readonly dispose: () => void;
}

/** Model, optimiser and a jitted step: weights are there, nothing of the step is compiled yet. */
export async function makeTrainingStep(
  { config, batch, time, precision = 'f32' }: Reference,
  device: DeviceName,
): Promise<TrainingStep> {
  random.seed(1);
  const model = new Llama(config, { device });
  const weights = model.parameters();
  const optimizer = new AdamW(weights, { lr: 1e-3, decays: 'matrices' });
  for (const parameter of weights.values()) await parameter.held.realize();
  for (const cell of optimizer.state().values()) await cell.held.realize();
  const tokens = (offset: number) =>
    tensor(
      Int32Array.from(
        { length: batch * time },
        (_, i) => ((i + offset) * 7919) % config.vocab_size,
      ),
      { shape: [batch, time], device },
    );
  const [inputs, targets] = [tokens(0), tokens(1)];
  const jitted = jit((x: Tensor, y: Tensor) => {
    // As the trainer does it.
    const loss = (m: Llama) => autocast(precision, () => m.loss(x, y)).cast('f32');
    const { value, grads } = valueAndGrad(loss)(model);
    optimizer.update(grads);
    return value;
  });
  return {
    parameters: model.parameterCount(),
    step: () => jitted(inputs, targets),
    dispose: () => {
      jitted.dispose();
      optimizer.dispose();
      model.dispose();
      inputs.dispose();
      targets.dispose();
    },
  };
}
