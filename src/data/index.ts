/** Text and data for training; everything here also runs in a browser. */

export type { GroupOf, MatchReport, Score } from './baselines.ts';
export { exactMatch, majorityBaseline, majorityValues } from './baselines.ts';
export type { BatchSamplerOptions, BatchSamplerState, TokenBatch } from './batches.ts';
export { BatchSampler, documentStarts } from './batches.ts';
export type { CharacterTokenizerJson, CharacterTokenizerOptions } from './characters.ts';
export { CharacterTokenizer } from './characters.ts';
export {
  type DocumentBatchOptions,
  evaluationBatches,
  PackedBatches,
  PaddedBatches,
} from './document-batches.ts';
export {
  DocumentBuilder,
  documentCount,
  hashDocuments,
  joinDocuments,
  selectDocuments,
  sliceDocuments,
  type TokenArray,
  type TokenDocuments,
  targetCount,
} from './documents.ts';
export type { EpochState } from './epochs.ts';
export type { NgramOptions } from './ngram.ts';
export { NgramModel } from './ngram.ts';
export type { RandomState } from './random.ts';
export { hashText, SeededRandom } from './random.ts';
export type { RecordFields, RecordFormat } from './record-formats.ts';
export {
  BadRecord,
  type EncodedDocument,
  encodeCompletion,
  encodeConversation,
  encodeDocument,
} from './records.ts';
export type { BatchSource } from './source.ts';
export type { Question, QuestionKind } from './world/exchange.ts';
export { ANSWER_MARK, promptOf, QUESTION_MARK } from './world/exchange.ts';
export { answerWeights } from './world/weights.ts';
export type { Conversation, World, WorldOptions } from './world/world.ts';
export { generateWorld } from './world/world.ts';
