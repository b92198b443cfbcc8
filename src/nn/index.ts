export {
  type ActivationName,
  activation,
  ELU,
  GELU,
  Hardswish,
  LeakyReLU,
  LogSigmoid,
  Mish,
  ReLU,
  ReLU6,
  ReLUSquared,
  SELU,
  Sigmoid,
  SiLU,
  Softmax,
  Softplus,
  Tanh,
} from './activations.ts';
export { alibiBias, alibiSlopes } from './alibi.ts';
export {
  type AttentionInputs,
  MultiheadAttention,
  type MultiheadAttentionOptions,
  type RotaryOptions,
} from './attention.ts';
export { Flatten, Identity, type Layer, Residual, Sequential } from './containers.ts';
export { Conv1d, Conv2d, type ConvOptions } from './convolution.ts';
export { Dropout } from './dropout.ts';
export { type FeedForwardOptions, GatedMLP, MLP } from './feed-forward.ts';
export * as init from './init.ts';
export {
  type CachedAttentionOptions,
  type CacheState,
  cacheState,
  KVCache,
  type KVCacheOptions,
  type LayerCache,
} from './kv-cache.ts';
export {
  Embedding,
  Linear,
  type LinearOptions,
  RMSNorm,
  type Weight,
  weightFor,
} from './layers.ts';
export { type AddLoraOptions, adaptersOf, addLora, mergeLora, removeLora } from './lora.ts';
export { LoraAdapter, type LoraOptions } from './lora-adapter.ts';
export {
  MixtureOfExperts,
  type MixtureOfExpertsOptions,
  type MixtureResult,
  type Routing,
} from './mixture-of-experts.ts';
export { Module } from './module.ts';
export { type InitOptions, newBias, newParameter, newWeight, usually } from './new-parameter.ts';
export {
  BatchNorm1d,
  BatchNorm2d,
  type BatchNormLayerOptions,
  GroupNorm,
  LayerNorm,
  type NormOptions,
} from './normalization.ts';
export { PackedWeight } from './packed-weight.ts';
export {
  AdaptiveAvgPool1d,
  AdaptiveAvgPool2d,
  AvgPool1d,
  AvgPool2d,
  MaxPool1d,
  MaxPool2d,
} from './pooling.ts';
export { GRU, LSTM, type RecurrentOptions, type RecurrentResult, RNN } from './recurrent.ts';
export {
  type DynamicScaling,
  type LinearScaling,
  type Llama3Scaling,
  type LongRopeScaling,
  type RopeFrequencies,
  type RopeScaling,
  type RopeSizes,
  ropeFrequencies,
  type YarnScaling,
} from './rope-scaling.ts';

export { type LayerShape, SlotCache, type SlotCacheOptions } from './slot-cache.ts';

export {
  TransformerEncoderLayer,
  type TransformerEncoderLayerOptions,
} from './transformer-encoder.ts';
