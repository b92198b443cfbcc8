/** The whole library: each room is also an entry point of its own (`tersor/tensor`, `tersor/nn`). */
import { useProgramCache } from './io/index.ts';

export * from './browser.ts';
export * from './models/node.ts';
export { loadModel, saveModel } from './models/node.ts';
export * from './train/index.ts';

useProgramCache();
