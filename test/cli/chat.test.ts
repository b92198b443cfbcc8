import { afterAll, describe, expect, test } from 'vitest';
import { type ChatTerminal, Conversation, chat, rate } from '../../src/cli/chat.ts';
import { createEngine, type GenerationRequest, type TextEngine } from '../../src/generate/index.ts';
import type { ChatMessage, Tokenizer } from '../../src/io/index.ts';
import { Llama, llamaConfig } from '../../src/models/index.ts';
import { random } from '../../src/tensor/index.ts';
import { byteTokenizer } from '../support/byte-tokenizer.ts';

const bytes = byteTokenizer({ bos: true, eos: true });
const rendered = (messages: readonly ChatMessage[]) =>
  `${messages.map(({ role, content }) => `${role[0]}:${content};`).join('')}a:`;
const tokenizer: Tokenizer = {
  ...bytes,
  hasChat: true,
  renderChat: rendered,
  encodeChat: (messages) => bytes.encode(rendered(messages), { addSpecial: true }),
};

random.seed(2);
const model = new Llama(
  llamaConfig({
    vocab_size: 258,
    hidden_size: 16,
    intermediate_size: 24,
    num_hidden_layers: 1,
    num_attention_heads: 2,
    max_position_embeddings: 96,
  }),
  { std: 0.4 },
);
const engine = createEngine({ model, tokenizer, generation: {} }, { slots: 1 });
afterAll(() => engine.close());

/** An engine that keeps what it is asked. */
function recording() {
  const prompts: string[] = [];
  const asked: TextEngine = {
    context: engine.context,
    capacity: engine.capacity,
    generate: (request: GenerationRequest) => {
      prompts.push(tokenizer.decode(request.prompt as Int32Array));
      return engine.generate(request);
    },
    stats: () => engine.stats(),
    close: () => engine.close(),
  };
  return { prompts, asked };
}

const request = { temperature: 0, maxTokens: 3, ignoreEos: true };

function scripted(lines: string[]) {
  const written: string[] = [];
  const notes: string[] = [];
  const terminal: ChatTerminal = {
    ask: async () => lines.shift(),
    write: (text) => written.push(text),
    note: (text) => notes.push(text),
    stopSignal: () => new AbortController().signal,
  };
  return { terminal, written, notes };
}

describe('chat', () => {
  test('answers each line, with all that was said before, until an empty one', async () => {
    const { prompts, asked } = recording();
    const long = 'x'.repeat(200);
    const { terminal, written, notes } = scripted(['hi', long, 'so?', '/new', 'hi', '', 'unheard']);
    await chat({ engine: asked, tokenizer, system: 'be', request }, terminal);
    const [first, second] = written.join('').split('\n');
    // What is too long was refused, and is as if it had not been said.
    expect(prompts.filter((prompt) => !prompt.includes('xx'))).toEqual([
      's:be;u:hi;a:',
      `s:be;u:hi;a:${first};u:so?;a:`,
      's:be;u:hi;a:',
    ]);
    expect(written.join('')).toBe(`${first}\n${second}\n${first}\n`);
    expect(notes.filter((note) => note.includes('tokens/s'))).toHaveLength(3);
    expect(notes).toContain('A new conversation.');
    expect(notes.join('\n')).toContain('error: generate: prompt is ');
  });

  test('drops the beginning of what does not fit, but never the system message', async () => {
    const { prompts, asked } = recording();
    const conversation = new Conversation({ engine: asked, tokenizer, system: 'be', request });
    const { terminal } = scripted([]);
    const dropped: number[] = [];
    for (let i = 0; i < 6; i++) {
      dropped.push((await conversation.answer(`message ${i}`, terminal)).dropped);
    }
    expect(dropped.slice(0, 3)).toEqual([0, 0, 0]);
    expect(dropped.at(-1)).toBe(2);
    for (const prompt of prompts) expect(prompt.startsWith('s:be;u:message')).toBe(true);
    expect(prompts.at(-1)).not.toContain('message 0');
    const endless = conversation.answer('x'.repeat(200), terminal);
    await expect(endless).rejects.toThrow('expected fewer than the context of 96');
  });

  test('an answer that is stopped is part of the conversation as far as it went', async () => {
    const { prompts, asked } = recording();
    const conversation = new Conversation({ engine: asked, tokenizer, request });
    const { terminal } = scripted([]);
    const stopSignal = () => AbortSignal.abort();
    expect(await conversation.answer('hi', { ...terminal, stopSignal })).toMatchObject({
      text: '',
      written: { tokens: 0 },
    });
    await conversation.answer('again', terminal);
    expect(prompts.at(-1)).toBe('u:hi;a:;u:again;a:');
  });
});

test('the rate counts from the first piece on', () => {
  const written = { promptTokens: 31, tokens: 49, first: 1, waited: 0.21, seconds: 0.4 };
  expect(rate(written)).toBe(
    '49 tokens, 120.0 tokens/s; the first after 0.21 s (prompt of 31 tokens)',
  );
  expect(rate({ ...written, tokens: 1 })).toBe(
    '1 token; the first after 0.21 s (prompt of 31 tokens)',
  );
});
