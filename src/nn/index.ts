export { type InitOptions, normalInit } from './init.ts';
export { Embedding, Linear, type LinearOptions, RMSNorm } from './layers.ts';
export { Module } from './module.ts';
