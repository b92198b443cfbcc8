import type { ChatMessage, Tokenizer } from '../io/tokenizer/types.ts';
import {
  BadRecord,
  type EncodedDocument,
  encodeCompletion,
  encodeConversation,
  encodeDocument,
} from './records.ts';

/** The kinds of JSON lines: texts, prompts with completions, conversations. */
export type RecordFormat = 'jsonl' | 'completion' | 'chat';

/** The fields of a record that hold what is needed. */
export interface RecordFields {
  /** Of a text (default "text"). */
  readonly field?: string | undefined;
  /** Of a prompt (default "prompt"). */
  readonly promptField?: string | undefined;
  /** Of what is said to it (default "completion"). */
  readonly completionField?: string | undefined;
  /** Of a conversation (default "messages"). */
  readonly messagesField?: string | undefined;
}

/** Which format a record has, by its fields. @throws BadRecord where it has none of them */
export function formatOfRecord(record: unknown, names: RecordFields): RecordFormat {
  const fields = fieldsOf(record);
  if (names.field === undefined && (names.messagesField ?? 'messages') in fields) return 'chat';
  if (names.field === undefined && (names.promptField ?? 'prompt') in fields) return 'completion';
  if ((names.field ?? 'text') in fields) return 'jsonl';
  throw new BadRecord(
    `the fields are ${Object.keys(fields).join(', ') || 'none'}; expected "text", "prompt" with ` +
      '"completion", or "messages". Name the format and its fields',
  );
}

/** A record as a document. @throws BadRecord naming the field that is wrong */
export function encodeRecord(
  tokenizer: Tokenizer,
  format: RecordFormat,
  record: unknown,
  names: RecordFields,
): EncodedDocument {
  const fields = fieldsOf(record);
  const text = (name: string): string => {
    const value = fields[name];
    if (typeof value !== 'string') throw wrong(name, value, 'a text');
    return value;
  };
  switch (format) {
    case 'jsonl':
      return encodeDocument(tokenizer, text(names.field ?? 'text'));
    case 'completion': {
      const prompt = text(names.promptField ?? 'prompt');
      return encodeCompletion(tokenizer, prompt, text(names.completionField ?? 'completion'));
    }
    case 'chat': {
      const name = names.messagesField ?? 'messages';
      const messages = fields[name];
      if (!Array.isArray(messages) || messages.length === 0) {
        throw wrong(name, messages, 'a list of at least one message');
      }
      messages.forEach((message, index) => {
        checkMessage(message, `${name}[${index}]`);
      });
      const { tools } = fields;
      if (tools !== undefined && tools !== null && !Array.isArray(tools)) {
        throw wrong('tools', tools, 'a list');
      }
      return conversation(tokenizer, messages, tools ?? undefined);
    }
    default:
      format satisfies never;
      throw new RangeError(`format is ${JSON.stringify(format)}; expected one of JSON lines.`);
  }
}

/** What a template refuses is a fault of the record. */
function conversation(
  tokenizer: Tokenizer,
  messages: readonly ChatMessage[],
  tools: readonly unknown[] | undefined,
): EncodedDocument {
  try {
    return encodeConversation(tokenizer, messages, tools);
  } catch (error) {
    if (error instanceof BadRecord || error instanceof RangeError) throw error;
    throw new BadRecord(`the chat template refuses it: ${(error as Error).message}`);
  }
}

function checkMessage(message: unknown, field: string): void {
  const { role, content } = fieldsOf(message, field);
  if (typeof role !== 'string') throw wrong(`${field}.role`, role, 'a text such as "user"');
  const known = content === null || content === undefined || Array.isArray(content);
  if (!known && typeof content !== 'string') throw wrong(`${field}.content`, content, 'a text');
}

function fieldsOf(value: unknown, field?: string): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as Readonly<Record<string, unknown>>;
  }
  throw field === undefined
    ? new BadRecord(`it is ${shorten(value)}; expected an object with named fields`)
    : wrong(field, value, 'an object with role and content');
}

function wrong(field: string, value: unknown, expected: string): BadRecord {
  const found = value === undefined ? 'missing' : shorten(value);
  return new BadRecord(`field ${JSON.stringify(field)} is ${found}; expected ${expected}`);
}

function shorten(value: unknown): string {
  const text = JSON.stringify(value) ?? 'undefined';
  return text.length <= 60 ? text : `${text.slice(0, 57)}...`;
}
