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
export {
  type TrainTokenizerOptions,
  trainTokenizer,
  type WordPattern,
} from './tokenizer/bpe-trainer.ts';
export { type CharacterOptions, characterTokenizer } from './tokenizer/characters.ts';
export type { TokenizerFiles } from './tokenizer/files.ts';
export { loadTokenizer, saveTokenizer } from './tokenizer/load.ts';
export type { NewTokenizerOptions } from './tokenizer/new-files.ts';
export { PLAIN_CHAT_TEMPLATE, withChatTemplate } from './tokenizer/plain-chat.ts';
export {
  type EncodedPair,
  HuggingFaceTokenizer,
  tokenizerFromFiles,
} from './tokenizer/tokenizer.ts';
export type {
  ChatMessage,
  ChatOptions,
  DecodeOptions,
  EncodeOptions,
  Tokenizer,
} from './tokenizer/types.ts';
export { useProgramCache } from './use-program-cache.ts';
