export { type InitOptions, normalInit } from './init.ts';
export { type CacheState, KVCache, type KVCacheOptions } from './kv-cache.ts';
export { Embedding, Linear, type LinearOptions, RMSNorm } from './layers.ts';
export { Module } from './module.ts';
