/**
 * The library in Node. Each room is also an entry point of its own (`tersor/tensor`, `tersor/nn`);
 * the server (`tersor/serve`) and the experiments (`tersor/lab`) are entry points only.
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
export * from './train/index.ts';

useProgramCache();
