export {
  type Checkpoint,
  type CheckpointEntry,
  openCheckpoint,
  type TensorToWrite,
  type WriteCheckpointOptions,
  writeCheckpoint,
} from './checkpoint.ts';
export { type FetchOptions, fetchSource } from './fetch-source.ts';
export {
  ensureFolder,
  folderSource,
  readJson,
  readSafetensors,
  writeFileAtomic,
  writeSafetensors,
} from './files.ts';
export {
  damageOf,
  type FileContent,
  removeFolder,
  removeUnfinished,
  writeFolderAtomic,
} from './folders.ts';
export {
  encodeGgmlBlocks,
  type GgmlBlockType,
  joinGgmlBlocks,
  type SplitBlocks,
  splitGgmlBlocks,
} from './ggml-blocks.ts';
export { decodeSafetensors, encodeSafetensors, type StoredTensor } from './safetensors.ts';
export { type FileSource, memorySource, type OpenFile } from './source.ts';
export * from './tokenizer/node.ts';
export { useProgramCache } from './use-program-cache.ts';
