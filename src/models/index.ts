export { Llama, type LlamaConfig, llamaConfig } from './llama.ts';
