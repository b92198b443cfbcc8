import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { PLAIN_CHAT_TEMPLATE, withChatTemplate } from '../io/tokenizer/plain-chat.ts';
import type { Tokenizer } from '../io/tokenizer/types.ts';
import {
  DocumentBuilder,
  documentCount,
  joinDocuments,
  selectDocuments,
  sliceDocuments,
  type TokenDocuments,
  targetCount,
} from './documents.ts';
import { SeededRandom } from './random.ts';
import { encodeRecord, formatOfRecord, type RecordFields } from './record-formats.ts';
import { BadRecord, encodeDocument } from './records.ts';
import { readTextFile } from './text-file.ts';
import { readTokens } from './token-files.ts';

/** What the files hold; `auto` goes by their names and the first record. */
export type DatasetFormat = 'auto' | 'text' | 'jsonl' | 'completion' | 'chat' | 'tokens';

export const DATASET_FORMATS: readonly DatasetFormat[] = [
  'auto',
  'text',
  'jsonl',
  'completion',
  'chat',
  'tokens',
];

/** Where training data lies and how it is read. */
export interface DatasetSpec extends RecordFields {
  /** Files, or folders with files in them. */
  readonly path: string | readonly string[];
  /** Default `auto`. */
  readonly format?: DatasetFormat | undefined;
  /** Parts a raw text into documents, such as "\n\n"; without it a file is one document. */
  readonly separator?: string | undefined;
  /** Files of their own, or a share of the documents from 0 to below 1. */
  readonly validation?: string | readonly string[] | number | undefined;
  /** Chooses the documents of a share (default 0). */
  readonly seed?: number | undefined;
  /** Leaves bad lines out and counts them (default: the first is an error). */
  readonly skipBad?: boolean | undefined;
}

/** What was read. */
export interface DatasetCounts {
  readonly files: number;
  readonly documents: number;
  readonly tokens: number;
  /** Tokens that count in a loss. */
  readonly targets: number;
  /** Lines that were left out. */
  readonly skipped: number;
}

export interface Dataset {
  readonly train: TokenDocuments;
  readonly validation: TokenDocuments | undefined;
  readonly about: { readonly train: DatasetCounts; readonly validation: DatasetCounts | undefined };
  /** The tokenizer that was used: for conversations, with a plain template if it had none. */
  readonly tokenizer: Tokenizer;
}

/** Below so many documents a share is cut from the end of the text. */
const FEW_DOCUMENTS = 10;

/**
 * Reads training data into tokens. All of it is kept in memory, four bytes a token; data that is
 * larger is not supported.
 *
 * @throws Error naming file, line and field for what is wrong; RangeError for a wrong setting
 */
export async function loadDataset(spec: DatasetSpec, tokenizer: Tokenizer): Promise<Dataset> {
  const reader = new DatasetReader(spec, tokenizer);
  const all = await reader.read(spec.path);
  const { validation } = spec;
  const result = (
    train: TokenDocuments,
    held?: TokenDocuments,
    counts = { files: 0, skipped: 0 },
  ) => ({
    train,
    validation: held,
    about: {
      train: { ...all.about, ...sizes(train) },
      validation: held && { ...counts, ...sizes(held) },
    },
    tokenizer: reader.tokenizer,
  });
  if (validation === undefined || validation === 0) return result(all.documents);
  if (typeof validation === 'number') {
    const { train, held } = share(all.documents, validation, spec.seed ?? 0);
    return result(train, held);
  }
  const own = await reader.read(validation);
  return result(all.documents, own.documents, own.about);
}

function sizes(documents: TokenDocuments) {
  return {
    documents: documentCount(documents),
    tokens: documents.tokens.length,
    targets: targetCount(documents),
  };
}

/** Whole documents, chosen at random; of few the end of the last ones. */
function share(
  documents: TokenDocuments,
  part: number,
  seed: number,
): { train: TokenDocuments; held: TokenDocuments } {
  const count = documentCount(documents);
  const { length } = documents.tokens;
  if (!(part > 0 && part < 1)) {
    throw new RangeError(
      `validation is ${part}; expected a share from 0 to below 1, or paths of files. Try 0.05.`,
    );
  }
  if (count < FEW_DOCUMENTS) {
    const cut = Math.min(length - 2, Math.floor(length * (1 - part)));
    if (cut < 2) {
      throw new RangeError(
        `validation is ${part} of ${length} tokens; expected at least two for each part. Use ` +
          'more text.',
      );
    }
    return {
      train: sliceDocuments(documents, 0, cut),
      held: sliceDocuments(documents, cut, length),
    };
  }
  const numbers = Array.from({ length: count }, (_, index) => index);
  const held = Math.min(count - 1, Math.max(1, Math.round(count * part)));
  const chosen = new Set(new SeededRandom(seed).shuffled(numbers).slice(0, held));
  return {
    train: selectDocuments(
      documents,
      numbers.filter((index) => !chosen.has(index)),
    ),
    held: selectDocuments(
      documents,
      numbers.filter((index) => chosen.has(index)),
    ),
  };
}

class DatasetReader {
  tokenizer: Tokenizer;
  readonly #spec: DatasetSpec;
  #skipped = 0;

  constructor(spec: DatasetSpec, tokenizer: Tokenizer) {
    const { format = 'auto', separator } = spec;
    if (!DATASET_FORMATS.includes(format)) {
      throw new RangeError(
        `format is ${JSON.stringify(format)}; expected one of ${DATASET_FORMATS.join(', ')}.`,
      );
    }
    if (separator === '') {
      throw new RangeError('separator is ""; expected at least one character, or none given.');
    }
    this.#spec = spec;
    this.tokenizer = tokenizer;
  }

  async read(
    path: string | readonly string[],
  ): Promise<{ documents: TokenDocuments; about: { files: number; skipped: number } }> {
    this.#skipped = 0;
    const paths = typeof path === 'string' ? [path] : path;
    const files = (await Promise.all(paths.map(filesUnder))).flat();
    if (files.length === 0) {
      throw new Error(
        `path ${JSON.stringify(path)} has no file to read; expected names that end with ` +
          `${ENDINGS.join(', ')}.`,
      );
    }
    const lists: TokenDocuments[] = [];
    for (const file of files) lists.push(await this.#readFile(file));
    const documents = joinDocuments(lists.filter((list) => documentCount(list) > 0));
    if (documents.tokens.length === 0) {
      throw new Error(
        `path ${JSON.stringify(path)} has no document in ${files.length} files ` +
          `(${this.#skipped} lines were left out); expected at least one.`,
      );
    }
    return { documents, about: { files: files.length, skipped: this.#skipped } };
  }

  async #readFile(file: string): Promise<TokenDocuments> {
    const { format = 'auto', separator } = this.#spec;
    const kind = format === 'auto' ? formatOfName(file) : format;
    if (kind === 'tokens') return readTokens(file, { vocabSize: this.tokenizer.size });
    const text = await readTextFile(file);
    if (kind !== 'text') return this.#readLines(file, text, kind);
    const builder = new DocumentBuilder();
    for (const part of separator === undefined ? [text] : text.split(separator)) {
      if (part === '') continue;
      builder.add(inFile(file, () => encodeDocument(this.tokenizer, part)).ids);
    }
    return builder.build();
  }

  #readLines(file: string, text: string, kind: 'lines' | 'jsonl' | 'completion' | 'chat') {
    const builder = new DocumentBuilder();
    let format = kind === 'lines' ? undefined : kind;
    text.split('\n').forEach((line, index) => {
      if (line.trim() === '') return;
      try {
        const record = parseLine(line);
        format ??= formatOfRecord(record, this.#spec);
        if (format === 'chat' && !this.tokenizer.hasChat) {
          this.tokenizer = withChatTemplate(this.tokenizer, PLAIN_CHAT_TEMPLATE);
        }
        const { ids, weights } = encodeRecord(this.tokenizer, format, record, this.#spec);
        builder.add(ids, weights);
      } catch (error) {
        const bad = error instanceof BadRecord || error instanceof RangeError;
        if (bad && this.#spec.skipBad) {
          this.#skipped += 1;
          return;
        }
        const message = (error as Error).message.replace(/\.$/, '');
        throw new Error(
          `${file}:${index + 1}: ${message}. Mend the line, or leave bad ones out with skipBad.`,
          { cause: error },
        );
      }
    });
    return builder.build();
  }
}

function parseLine(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch (error) {
    throw new BadRecord(`the line is not JSON: ${(error as Error).message}`);
  }
}

function inFile<T>(file: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new Error(`${file}: ${(error as Error).message}`, { cause: error });
  }
}

const ENDINGS: readonly string[] = ['.txt', '.md', '.jsonl', '.ndjson', '.bin', '.safetensors'];

function formatOfName(file: string): 'text' | 'lines' | 'tokens' {
  if (/\.(jsonl|ndjson)$/i.test(file)) return 'lines';
  return /\.(bin|safetensors)$/i.test(file) ? 'tokens' : 'text';
}

/** A file itself, or the files in a folder and below it whose endings are known, by name. */
export async function filesUnder(path: string): Promise<string[]> {
  const entry = await stat(path).catch((error: { code?: unknown; message: string }) => {
    const reason = error.code === 'ENOENT' ? 'it does not exist' : error.message;
    throw new Error(`path ${JSON.stringify(path)} could not be read: ${reason}. Check the path.`);
  });
  if (!entry.isDirectory()) return [path];
  const names = (await readdir(path)).filter((name) => !name.startsWith('.')).sort();
  const found = await Promise.all(
    names.map(async (name) => {
      const inside = join(path, name);
      if ((await stat(inside)).isDirectory()) return filesUnder(inside);
      return ENDINGS.some((ending) => name.toLowerCase().endsWith(ending)) ? [inside] : [];
    }),
  );
  return found.flat();
}
