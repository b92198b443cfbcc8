/** The models and what reads and writes their folders, which takes Node. */

export { loadAdapter, saveAdapter } from './adapters.ts';
export * from './index.ts';
