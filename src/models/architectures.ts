import type { InitOptions } from '../nn/index.ts';
import { Gpt2, gpt2ConfigFromJson } from './gpt2.ts';
import { Llama } from './llama.ts';
import { llamaConfigFromJson } from './llama-json.ts';
import type { CausalLM } from './types.ts';

/** What a `model_type` of HuggingFace stands for here. */
export interface Architecture {
  /** @throws Error naming the key of config.json that is missing, wrong or not supported */
  build(config: unknown, init: InitOptions): CausalLM;
  /** The model's name for a tensor of a file, or undefined for one that no computation needs. */
  nameOf(stored: string, model: CausalLM): string | undefined;
}

const LLAMA: Architecture = {
  build: (config, init) => new Llama(llamaConfigFromJson(config), init),
  nameOf: (stored, model) => {
    // Old files hold the frequencies; files of tied models may hold the table twice.
    if (/^model\.layers\.\d+\.self_attn\.rotary_emb\.inv_freq$/.test(stored)) return undefined;
    return isSpareHead(stored, model) ? undefined : stored;
  },
};

const GPT2: Architecture = {
  build: (config, init) => new Gpt2(gpt2ConfigFromJson(config), init),
  nameOf: (stored, model) => {
    if (isSpareHead(stored, model)) return undefined;
    // The first checkpoints have no prefix, and hold the causal masks.
    if (/^(transformer\.)?h\.\d+\.attn\.(masked_)?bias$/.test(stored)) return undefined;
    return /^(h|wte|wpe|ln_f)\./.test(stored) ? `transformer.${stored}` : stored;
  },
};

/** By `model_type`. */
const ARCHITECTURES: ReadonlyMap<string, Architecture> = new Map([
  ['llama', LLAMA],
  ['mistral', LLAMA],
  ['qwen2', LLAMA],
  ['qwen3', LLAMA],
  ['gpt2', GPT2],
]);

/** @throws Error for a config.json of an architecture that is not known */
export function architectureOf(config: unknown): Architecture {
  const { model_type: type } = (config ?? {}) as { readonly model_type?: unknown };
  const found = typeof type === 'string' ? ARCHITECTURES.get(type) : undefined;
  if (found) return found;
  throw new Error(
    `model_type is ${JSON.stringify(type) ?? 'missing'}, an architecture that is not supported; ` +
      `expected one of ${[...ARCHITECTURES.keys()].join(', ')}`,
  );
}

function isSpareHead(stored: string, model: CausalLM): boolean {
  return stored === 'lm_head.weight' && !model.state().has(stored);
}
