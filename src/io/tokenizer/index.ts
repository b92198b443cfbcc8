/** Tokenizers; everything here also runs in a browser. */

export {
  type TrainTokenizerOptions,
  trainTokenizer,
  type WordPattern,
} from './bpe-trainer.ts';
export { type CharacterOptions, characterTokenizer } from './characters.ts';
export type { TokenizerFiles } from './files.ts';
export type { NewTokenizerOptions } from './new-files.ts';
export { PLAIN_CHAT_TEMPLATE, withChatTemplate } from './plain-chat.ts';
export { type EncodedPair, HuggingFaceTokenizer, tokenizerFromFiles } from './tokenizer.ts';
export type { ChatMessage, ChatOptions, DecodeOptions, EncodeOptions, Tokenizer } from './types.ts';
