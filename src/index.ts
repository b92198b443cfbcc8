/** The whole library: each room is also an entry point of its own (`tersor/tensor`, `tersor/nn`). */
import { useProgramCache } from './io/index.ts';

export * from './browser.ts';
export * from './data/node.ts';
export * from './io/tokenizer/node.ts';
export type { Tokenizer } from './io/tokenizer/types.ts';
export * from './models/node.ts';
export { loadModel, saveModel } from './models/node.ts';
export * from './train/index.ts';

useProgramCache();
