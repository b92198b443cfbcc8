import {
  createEngine,
  type EngineOptions,
  type FinishReason,
  type GenerationChunk,
  type GenerationRequest,
  type TextEngine,
} from '../../src/generate/index.ts';
import { type CausalLM, Llama, llamaConfig, type Pretrained } from '../../src/models/index.ts';
import { random } from '../../src/tensor/index.ts';
import { byteTokenizer as bytes } from './byte-tokenizer.ts';

export const CONTEXT = 96;
export const byteTokenizer = bytes({ bos: true, eos: true });

export function randomModel(seed = 3): CausalLM {
  random.seed(seed);
  return new Llama(
    llamaConfig({
      vocab_size: byteTokenizer.size + 6,
      hidden_size: 32,
      intermediate_size: 64,
      num_hidden_layers: 2,
      num_attention_heads: 4,
      num_key_value_heads: 2,
      max_position_embeddings: CONTEXT,
    }),
    { std: 0.35 },
  );
}

/** A model of random weights that writes bytes. */
export const pretrained: Pretrained = {
  model: randomModel(),
  tokenizer: byteTokenizer,
  generation: {},
};
const open: TextEngine[] = [];

export function engineOf(options: EngineOptions = {}, by: Pretrained = pretrained): TextEngine {
  const engine = createEngine(by, options);
  open.push(engine);
  return engine;
}

/** Closes all that `engineOf` has made. */
export async function closeEngines(): Promise<void> {
  for (const engine of open.splice(0)) await engine.close();
}

export interface Answer {
  readonly ids: number[];
  readonly text: string;
  readonly reason: FinishReason | undefined;
  readonly chunks: readonly GenerationChunk[];
}

async function collect(stream: AsyncIterable<GenerationChunk>): Promise<Answer> {
  const chunks: GenerationChunk[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return {
    ids: chunks.flatMap((chunk) => [...chunk.ids]),
    text: chunks.map((chunk) => chunk.text).join(''),
    reason: chunks.at(-1)?.finish?.reason,
    chunks,
  };
}

export const answer = (engine: TextEngine, request: GenerationRequest) =>
  collect(engine.generate(request));

/** Greedy, and as long as is asked for. */
export const greedy = { temperature: 0, ignoreEos: true };
