/** The library for browsers: all of it but what reads and writes files. */
export * from './data/index.ts';
export * from './generate/index.ts';
export * from './models/index.ts';
export * from './nn/index.ts';
export * from './optim/index.ts';
export * as functions from './tensor/functions/index.ts';
export * from './tensor/index.ts';
export { trainLanguageModel } from './train/train.ts';
