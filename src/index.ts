/**
 * The library in Node. Each room is also an entry point of its own (`tersor/tensor`, `tersor/nn`).
 * Entry points only are the server (`tersor/serve`), runs as files (`tersor/train`) and the experiments
 * (`tersor/lab`): what they load is not paid for by others.
 */
import { useProgramCache } from './io/index.ts';

export * from './browser.ts';
export * from './charts/index.ts';
export * from './compress/index.ts';
export * from './data/node.ts';
export * from './evaluate/index.ts';
export * from './io/index.ts';
export * from './models/node.ts';
export { loadModel, saveModel } from './models/node.ts';
export * from './train/loops.ts';

useProgramCache();
