import { expect, test } from 'vitest';
import { UsageCounter } from '../../src/serve/answer.ts';
import { textCompletion } from '../../src/serve/completions.ts';

test('alternatives that are parts of characters keep names of their own', () => {
  const entry = (text: string, bytes: number[], logprob: number) => ({
    id: 0,
    text,
    bytes,
    logprob,
  });
  const top = [
    entry('\ufffd', [0xe2, 0x80], -0.5),
    entry('\ufffd', [0xf0, 0x9f, 0x98], -1),
    // U+FFFD itself is a character.
    entry('\ufffd', [0xef, 0xbf, 0xbd], -2),
    entry('a', [97], -3),
    // Such as the byte of a vocabulary that falls back to bytes.
    entry('a', [97], -4),
  ];
  const answer = { text: '', reason: 'stop' as const, logprobs: [{ ...top[0], top }] };
  const head = { id: 'cmpl-1', created: 0, model: 'tiny' };
  const shape = { logprobs: true, before: [''] };
  const { choices } = textCompletion(head, [answer], new UsageCounter(1), shape);
  expect(choices[0].logprobs).toEqual({
    tokens: ['bytes:\\xe2\\x80'],
    token_logprobs: [-0.5],
    top_logprobs: [{ 'bytes:\\xe2\\x80': -0.5, 'bytes:\\xf0\\x9f\\x98': -1, '\ufffd': -2, a: -3 }],
    text_offset: [0],
  });
});
