import { filesUnder, readTextFile } from '../../data/node.ts';
import {
  characterTokenizer,
  PLAIN_CHAT_TEMPLATE,
  type Tokenizer,
  trainTokenizer,
} from '../../io/index.ts';
import type { RunConfig } from '../config/resolve.ts';

/** Ends a document. */
const END = '<|end|>';
/** The marks of the plain chat template, as tokens of their own. */
const ROLES = ['<|system|>', '<|user|>', '<|assistant|>'];

/**
 * A tokenizer of the data's own characters, or one that learns its frequent pieces. Where the data
 * are records or conversations it has an end token; raw text as characters has none.
 *
 * @throws Error where the data are tokens already
 */
export async function newTokenizer({ data, tokenizer }: RunConfig): Promise<Tokenizer> {
  const { path, validation } = data;
  const places = typeof validation === 'number' ? path : [...path, ...validation];
  const files = (await Promise.all(places.map(filesUnder))).flat();
  const texts: string[] = [];
  let isRecords = false;
  for (const file of files) {
    if (data.format === 'tokens' || /\.(bin|safetensors)$/i.test(file)) {
      throw new Error(
        `file ${JSON.stringify(file)} holds tokens; expected a tokenizer for them: name its folder ` +
          'as tokenizer.from (--tokenizer FOLDER)',
      );
    }
    const text = await readTextFile(file);
    const asRecords = isRecordFile(file, data.format);
    isRecords ||= asRecords;
    const parts = asRecords ? text.split('\n').flatMap(stringsInLine) : [text];
    // One by one: as arguments of one call a million lines would overflow the stack.
    for (const part of parts) texts.push(part);
  }
  const marks = { specialTokens: [...ROLES], eosToken: END, chatTemplate: PLAIN_CHAT_TEMPLATE };
  if (tokenizer.kind === 'bpe') {
    return trainTokenizer(texts, { vocabSize: tokenizer.vocabSize as number, ...marks });
  }
  // The template has line ends of its own.
  return isRecords
    ? characterTokenizer(`${texts.join('')}\n`, marks)
    : characterTokenizer(texts.join(''));
}

function isRecordFile(file: string, format: RunConfig['data']['format']): boolean {
  if (format === 'auto') return /\.(jsonl|ndjson)$/i.test(file);
  return format !== 'text';
}

/** All texts in a line of JSON; of a line that is none nothing: reading the data tells of it. */
function stringsInLine(line: string): string[] {
  try {
    return [...stringsIn(JSON.parse(line))];
  } catch {
    return [];
  }
}

function* stringsIn(value: unknown): Generator<string> {
  if (typeof value === 'string') yield value;
  else if (typeof value === 'object' && value !== null) {
    for (const item of Object.values(value)) yield* stringsIn(item);
  }
}
