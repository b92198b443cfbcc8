/** Tokenizers, with what reads and writes their folders, which takes Node. */

export * from './index.ts';
export { loadTokenizer, saveTokenizer } from './load.ts';
