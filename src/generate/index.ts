export { createEngine, EngineClosedError, type EngineOptions, QueueFullError } from './engine.ts';
export type {
  FinishReason,
  GenerationChunk,
  GenerationRequest,
  SamplingOptions,
  TextEngine,
  TokenLogprob,
} from './engine-types.ts';
export {
  type AnswerOptions,
  answerAll,
  complete,
  type GenerateOptions,
  generate,
} from './library.ts';
export { Sampler, SamplerScratch } from './sampler.ts';
export { TextStream, type TextStreamOptions } from './text-stream.ts';
