export {
  type AnswerOptions,
  complete,
  type GenerateOptions,
  generate,
  TextGenerator,
} from './generator.ts';
export { Sampler, type SamplerOptions } from './sampler.ts';
export type { CausalModel, Tokenizer } from './types.ts';
