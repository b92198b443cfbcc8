import type { ChatMessage, Tokenizer } from '../io/tokenizer/types.ts';

/** A document as tokens; `weights` is 0 for what a model is only given. */
export interface EncodedDocument {
  readonly ids: Int32Array;
  readonly weights?: Uint8Array;
}

/** A record that is no document, for a reason that names the field. */
export class BadRecord extends Error {}

/** A text, framed as the tokenizer frames texts and ended by its end token, where it has them. */
export function encodeDocument(tokenizer: Tokenizer, text: string): EncodedDocument {
  return { ids: withEnd(tokenizer, tokenizer.encode(text, { addSpecial: true })) };
}

/** What is given, and what a model learns to say to it, the end token included. */
export function encodeCompletion(
  tokenizer: Tokenizer,
  prompt: string,
  completion: string,
): EncodedDocument {
  const given = tokenizer.encode(prompt, { addSpecial: true });
  const said = tokenizer.encode(completion);
  const apart = new Int32Array(given.length + said.length);
  apart.set(given);
  apart.set(said, given.length);
  const whole = tokenizer.encode(prompt + completion, { addSpecial: true });
  // Apart is how a model meets them. Some tokenizers begin each text with a space of their own,
  // though, which the completion must not have.
  const same = apart.length === whole.length && commonLength(apart, whole) === whole.length;
  const sound = same || tokenizer.decode(apart) === tokenizer.decode(whole);
  const ids = withEnd(tokenizer, sound ? apart : whole);
  return { ids, weights: weightsFrom(ids, sound ? given.length : commonLength(given, whole)) };
}

/**
 * A conversation as the tokenizer's template writes it. Only the assistant's answers weigh, each
 * from behind what asks for it to its end token, or to its end where there is none.
 *
 * @throws BadRecord where it cannot be told where an answer lies: a template that asks for an
 *   answer otherwise than it writes one
 */
export function encodeConversation(
  tokenizer: Tokenizer,
  messages: readonly ChatMessage[],
  tools?: readonly unknown[],
): EncodedDocument {
  const render = (count: number, addGenerationPrompt: boolean): Int32Array =>
    tokenizer.encodeChat(messages.slice(0, count), {
      addGenerationPrompt,
      ...(tools === undefined ? {} : { tools }),
    });
  const ids = render(messages.length, false);
  const weights = new Uint8Array(ids.length);
  let answers = 0;
  messages.forEach((message, index) => {
    if (message.role !== 'assistant') return;
    const field = `messages[${index}]`;
    if (index === 0) throw new BadRecord(`field "${field}" is an answer to nothing`);
    const { length: from } = prefixOf(ids, render(index, true)) ?? { length: -1 };
    const to = from < 0 ? -1 : endOfAnswer(tokenizer, ids, from, render(index + 1, false), message);
    if (to < 0) {
      throw new BadRecord(
        `field "${field}" cannot be found in the conversation: the chat template writes it ` +
          'otherwise when more messages follow, or asks for it otherwise than it writes it. End ' +
          'the conversation with it, or use another template',
      );
    }
    weights.fill(1, from, to);
    answers += 1;
  });
  if (answers === 0) throw new BadRecord('field "messages" has no answer of role "assistant"');
  return { ids, weights };
}

function prefixOf(ids: Int32Array, prefix: Int32Array): Int32Array | undefined {
  return commonLength(ids, prefix) === prefix.length ? prefix : undefined;
}

/**
 * One more than the place of an answer's end token, which a line end may follow, or of its last
 * token where there is none; -1 where it cannot be told.
 *
 * @param upTo the rendering of the conversation that ends with the answer
 */
function endOfAnswer(
  tokenizer: Tokenizer,
  ids: Int32Array,
  from: number,
  upTo: Int32Array,
  message: ChatMessage,
): number {
  const isEnd = (id: number) => tokenizer.eosIds.includes(id);
  if (prefixOf(ids, upTo) !== undefined) {
    const last = ids.subarray(from, upTo.length).findLastIndex(isEnd);
    return last < 0 ? upTo.length : from + last + 1;
  }
  // Some templates leave out of earlier answers what was thought: then it is what stands before
  // the next end token, if that is the message or its end.
  const length = ids.subarray(from).findIndex(isEnd);
  if (length < 0 || typeof message.content !== 'string') return -1;
  const said = tokenizer.decode(ids.subarray(from, from + length)).trim();
  const content = message.content.trim();
  return content.endsWith(said) || said.endsWith(content) ? from + length + 1 : -1;
}

function withEnd(tokenizer: Tokenizer, ids: Int32Array): Int32Array {
  const [end] = tokenizer.eosIds;
  if (end === undefined || tokenizer.eosIds.includes(ids.at(-1) ?? -1)) return ids;
  const ended = new Int32Array(ids.length + 1);
  ended.set(ids);
  ended[ids.length] = end;
  return ended;
}

function weightsFrom(ids: Int32Array, from: number): Uint8Array {
  return new Uint8Array(ids.length).fill(1, from);
}

function commonLength(left: Int32Array, right: Int32Array): number {
  const length = Math.min(left.length, right.length);
  for (let at = 0; at < length; at += 1) {
    if (left[at] !== right[at]) return at;
  }
  return length;
}
