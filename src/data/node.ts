/** Text and data for training, with what reads and writes files, which takes Node. */

export { type IdxArray, readIdx } from './idx.ts';
export * from './index.ts';
export {
  DATASET_FORMATS,
  type Dataset,
  type DatasetCounts,
  type DatasetFormat,
  type DatasetSpec,
  filesUnder,
  loadDataset,
} from './load-dataset.ts';
export { readTextFile } from './text-file.ts';
export { readTokens, writeTokens } from './token-files.ts';
