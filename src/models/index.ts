export { Llama, type LlamaConfig, llamaConfig } from './llama.ts';
export type { CausalLM, GenerationDefaults, Pretrained } from './types.ts';
