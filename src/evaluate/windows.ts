import { badArgument } from '../base/errors.ts';
import type { Tokenizer } from '../io/tokenizer/types.ts';

/**
 * How a text is cut for its perplexity, and what of it is scored. The figures differ, so each is
 * told with its name:
 * - windows: the whole text as tokens, cut into windows that do not overlap; every token but the
 *   first of a window (GPTQ, AWQ). An end that does not fill a window is left out.
 * - llama.cpp: the same, but each window begins with the tokenizer's begin token, and only its
 *   second half is scored.
 * - document: every token of the text, once; windows begin with the last token of the one before,
 *   the first with the begin or end token (lm-eval's rolling likelihood).
 */
export type Protocol = 'windows' | 'llama.cpp' | 'document';
export const PROTOCOLS: readonly Protocol[] = ['windows', 'llama.cpp', 'document'];

/** Tokens that the model sees together. */
export interface Window {
  readonly ids: Int32Array;
  /** The first token that is scored, at least 1. */
  readonly from: number;
}

/** @throws RangeError for a text with nothing to score */
export function windowsOf(
  tokenizer: Tokenizer,
  text: string,
  { protocol, context }: { readonly protocol: Protocol; readonly context: number },
): Window[] {
  const windows = cut(tokenizer, text, protocol, context);
  if (windows.length > 0) return windows;
  const { length } = tokenizer.encode(text);
  throw new RangeError(
    `perplexity: the text has ${length} tokens; expected at least ${context}, a window of the ` +
      `protocol ${protocol}. Use a longer text, a smaller context, or the protocol document.`,
  );
}

function cut(tokenizer: Tokenizer, text: string, protocol: Protocol, context: number): Window[] {
  switch (protocol) {
    case 'windows':
      return whole(tokenizer.encode(text, { addSpecial: true }), context, 1);
    case 'llama.cpp': {
      const ids = tokenizer.encode(text, { addSpecial: true });
      const windows = whole(ids, context, Math.floor(context / 2) + 1);
      const { bosId } = tokenizer;
      if (bosId !== undefined) for (const window of windows) window.ids[0] = bosId;
      return windows;
    }
    case 'document': {
      const ids = tokenizer.encode(text);
      const first = tokenizer.bosId ?? tokenizer.eosIds[0] ?? ids[0];
      // Without a token that begins a text its first one is seen, not scored.
      const all = first === undefined ? ids : behind(first, before(tokenizer, ids));
      return rolling(all, context);
    }
    default:
      protocol satisfies never;
      throw badArgument('perplexity', 'protocol', protocol, PROTOCOLS.join(', '));
  }
}

function before({ bosId, eosIds }: Tokenizer, ids: Int32Array): Int32Array {
  return bosId === undefined && eosIds.length === 0 ? ids.subarray(1) : ids;
}

function behind(first: number, ids: Int32Array): Int32Array {
  const all = new Int32Array(1 + ids.length);
  all[0] = first;
  all.set(ids, 1);
  return all;
}

function whole(ids: Int32Array, context: number, from: number): Window[] {
  return Array.from({ length: Math.floor(ids.length / context) }, (_, i) => {
    return { ids: ids.slice(i * context, (i + 1) * context), from };
  });
}

function rolling(ids: Int32Array, context: number): Window[] {
  const windows: Window[] = [];
  for (let at = 0; at + 1 < ids.length; at += context - 1) {
    windows.push({ ids: ids.slice(at, at + context), from: 1 });
  }
  return windows;
}
