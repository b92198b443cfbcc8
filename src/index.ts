/** The whole library: each room is also an entry point of its own (`tersor/tensor`, `tersor/nn`). */
export * from './data/index.ts';
export * from './generate/index.ts';
export * from './models/index.ts';
export * from './nn/index.ts';
export * from './optim/index.ts';
export * as functions from './tensor/functions/index.ts';
export * from './tensor/index.ts';
export * from './train/index.ts';
