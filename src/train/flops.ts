import type { TrainableModel } from './batch.ts';

/** The first of a config's keys that is a size. */
function sizeIn(config: Readonly<Record<string, unknown>>, ...keys: string[]): number | undefined {
  const key = keys.find((name) => typeof config[name] === 'number');
  return key === undefined ? undefined : (config[key] as number);
}

/**
 * Floating-point operations of one token's training, forward and backward: 6 N + 12 L d T, with N
 * parameters that multiply (a table that is only looked up does not), L layers of width d and rows of
 * T tokens (Chowdhery et al. 2022, appendix B). Undefined for a model whose config does not say.
 */
export function flopsPerToken(model: TrainableModel, sequence: number): number | undefined {
  const { config } = model as { config?: Readonly<Record<string, unknown>> };
  if (!config) return undefined;
  const layers = sizeIn(config, 'num_hidden_layers', 'n_layer');
  const width = sizeIn(config, 'hidden_size', 'n_embd');
  if (layers === undefined || width === undefined) return undefined;
  let parameters = 0;
  for (const [name, { size }] of model.parameters()) {
    const isTable = /embed_tokens|wte|wpe/.test(name);
    const multiplies = !isTable || (config['tie_word_embeddings'] !== false && !/wpe/.test(name));
    if (multiplies) parameters += size;
  }
  return 6 * parameters + 12 * layers * width * sequence;
}
