export { type InitOptions, normalInit } from './init.ts';
export {
  type CachedAttentionOptions,
  type CacheState,
  cacheState,
  KVCache,
  type KVCacheOptions,
  type LayerCache,
} from './kv-cache.ts';
export { Embedding, Linear, type LinearOptions, RMSNorm, type Weight } from './layers.ts';
export { type AddLoraOptions, adaptersOf, addLora, mergeLora, removeLora } from './lora.ts';
export { LoraAdapter, type LoraOptions } from './lora-adapter.ts';
export { Module } from './module.ts';
export { PackedWeight } from './packed-weight.ts';
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
