import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DocumentBuilder, type TokenDocuments } from '../../src/data/documents.ts';
import { type DatasetSpec, loadDataset } from '../../src/data/load-dataset.ts';
import { encodeConversation } from '../../src/data/records.ts';
import { readTokens, writeTokens } from '../../src/data/token-files.ts';
import { trainTokenizer } from '../../src/io/tokenizer/bpe-trainer.ts';
import { characterTokenizer } from '../../src/io/tokenizer/characters.ts';
import { loadTokenizer } from '../../src/io/tokenizer/load.ts';
import { withChatTemplate } from '../../src/io/tokenizer/plain-chat.ts';
import { anyText } from '../support/any-text.ts';
import { describeWithFixtures } from '../support/fixtures.ts';

const CHATML =
  "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}" +
  "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

const tokenizer = trainTokenizer(['a bird sings, a bird sings, a fish swims'], {
  vocabSize: 280,
  specialTokens: ['<|im_start|>', '<|im_end|>'],
  eosToken: '<|im_end|>',
  chatTemplate: CHATML,
});
const letters = characterTokenizer('abcdefghijklmnopqrstuvwxyz <|>:\n.', { eosToken: '<|end|>' });

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tersor-data-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

async function file(name: string, content: string | readonly unknown[]): Promise<string> {
  const path = join(folder, name);
  const lines = (records: readonly unknown[]) =>
    records.map((record) => `${JSON.stringify(record)}\n`).join('');
  await writeFile(path, typeof content === 'string' ? content : lines(content));
  return path;
}

/** Each document as text, and what of it counts. */
function texts(documents: TokenDocuments, own = tokenizer): { text: string; said: string }[] {
  const { tokens, starts, weights } = documents;
  return Array.from({ length: starts.length - 1 }, (_, index) => {
    const ids = [...tokens.subarray(starts[index], starts[index + 1])];
    const said = ids.filter((_, at) => weights === undefined || weights[starts[index] + at] === 1);
    return { text: own.decode(ids), said: own.decode(said) };
  });
}

describe('raw text', () => {
  test('of files and folders, each file a document with an end', async () => {
    await mkdir(join(folder, 'books', 'more'), { recursive: true });
    await file('books/b.txt', 'a fish');
    await file('books/a.md', 'a bird\n');
    await file('books/picture.png', 'no text');
    await file('books/more/c.txt', 'swims');
    const { train, about } = await loadDataset({ path: join(folder, 'books') }, tokenizer);
    expect(texts(train).map(({ text }) => text)).toEqual([
      'a bird\n<|im_end|>',
      'a fish<|im_end|>',
      'swims<|im_end|>',
    ]);
    expect(about.train).toMatchObject({ files: 3, documents: 3, skipped: 0 });
    expect(about.train.targets).toBe(train.tokens.length);
  });

  test('parts at a separator', async () => {
    const path = await file('parts.txt', 'a\n\nb\n\nc');
    const { train } = await loadDataset({ path, separator: '\n\n' }, tokenizer);
    expect(texts(train).map(({ text }) => text.slice(0, 1))).toEqual(['a', 'b', 'c']);
  });

  test('names the file of a character that the vocabulary has not', async () => {
    const path = await file('odd.txt', 'abc\u00e9');
    await expect(loadDataset({ path }, letters)).rejects.toThrow(/odd\.txt: text holds "\u00e9"/);
  });

  test('keeps a share for validation: of few documents the end, of many some', async () => {
    const one = await file('one.txt', 'a bird sings. '.repeat(50));
    const few = await loadDataset({ path: one, validation: 0.25 }, tokenizer);
    const whole = await loadDataset({ path: one }, tokenizer);
    const held = few.validation as TokenDocuments;
    expect([...few.train.tokens, ...held.tokens]).toEqual([...whole.train.tokens]);
    expect(held.tokens.length / whole.train.tokens.length).toBeCloseTo(0.25, 1);
    const many = await file(
      'many.jsonl',
      Array.from({ length: 40 }, (_, index) => ({ text: `bird ${index}` })),
    );
    const split = await loadDataset({ path: many, validation: 0.2, seed: 4 }, tokenizer);
    expect(split.about.validation?.documents).toBe(8);
    expect(split.about.train.documents).toBe(32);
    const all = [...texts(split.train), ...texts(split.validation as TokenDocuments)];
    expect(new Set(all.map(({ text }) => text)).size).toBe(40);
    const own = await loadDataset({ path: many, validation: one }, tokenizer);
    expect(own.about.validation).toMatchObject({ files: 1, documents: 1 });
    await expect(loadDataset({ path: many, validation: 1.5 }, tokenizer)).rejects.toThrow(
      'validation is 1.5',
    );
  });
});

describe('JSON lines', () => {
  test('of texts, in any field', async () => {
    const path = await file('texts.jsonl', '{"text": "a", "n": 1}\n\n{"text": "b"}\r\n');
    const { train } = await loadDataset({ path }, tokenizer);
    expect(texts(train).map(({ text }) => text)).toEqual(['a<|im_end|>', 'b<|im_end|>']);
    const other = await file('other.jsonl', [{ story: 'bird', messages: 1 }]);
    const own = await loadDataset({ path: other, field: 'story' }, tokenizer);
    expect(texts(own.train)[0].text).toBe('bird<|im_end|>');
  });

  test('of prompts and completions, which alone count', async () => {
    const path = await file('pairs.jsonl', [{ prompt: 'a bird', completion: ' sings' }]);
    const { train } = await loadDataset({ path }, tokenizer);
    expect(texts(train)).toEqual([{ text: 'a bird sings<|im_end|>', said: ' sings<|im_end|>' }]);
    const own = await file('own.jsonl', [{ q: 'a', a: 'b' }]);
    const named = { format: 'completion', promptField: 'q', completionField: 'a' } as const;
    const result = await loadDataset({ path: own, ...named }, tokenizer);
    expect(texts(result.train)[0].said).toBe('b<|im_end|>');
  });

  const wrong: [string, string, Partial<DatasetSpec>, string][] = [
    ['no JSON', '{"text": "a"}\n{"text": \n', {}, ':2: the line is not JSON'],
    ['no object', '[1]\n', {}, ':1: it is [1]; expected an object'],
    ['no known field', '{"body": "a"}\n', {}, ':1: the fields are body; expected "text"'],
    ['a missing field', '{"text": "a"}\n{"txt": "a"}\n', {}, ':2: field "text" is missing'],
    ['a field of another type', '{"text": 7}\n', {}, ':1: field "text" is 7; expected a text'],
    ['no messages', '{"messages": []}\n', {}, ':1: field "messages" is []'],
    ['a role', '{"messages": [{"content": "a"}]}\n', {}, ':1: field "messages[0].role" is missing'],
    [
      'no answer',
      '{"messages": [{"role": "user", "content": "a"}]}\n',
      {},
      ':1: field "messages" has no answer',
    ],
    [
      'an answer to nothing',
      '{"messages": [{"role": "assistant", "content": "a"}]}\n',
      {},
      ':1: field "messages[0]" is an answer to nothing',
    ],
    ['no completion', '{"prompt": "a"}\n', {}, ':1: field "completion" is missing'],
  ];
  test.each(wrong)(
    'with %s are refused with file, line and field',
    async (_, text, more, message) => {
      const path = await file('wrong.jsonl', text);
      await expect(loadDataset({ path, ...more }, tokenizer)).rejects.toThrow(`${path}${message}`);
    },
  );

  test('leave bad lines out if they are told to', async () => {
    const path = await file('some.jsonl', '{"text": "a"}\n{\n{"text": 1}\n{"text": "b"}\n');
    const { train, about } = await loadDataset({ path, skipBad: true }, tokenizer);
    expect(texts(train)).toHaveLength(2);
    expect(about.train.skipped).toBe(2);
    const none = await file('none.jsonl', '{\n');
    await expect(loadDataset({ path: none, skipBad: true }, tokenizer)).rejects.toThrow(
      'has no document in 1 files (1 lines were left out)',
    );
  });
});

describe('conversations', () => {
  const turns = [
    { role: 'system', content: 'be kind' },
    { role: 'user', content: 'a bird?' },
    { role: 'assistant', content: 'it sings<|im_end|>' },
    { role: 'user', content: 'a fish?' },
    { role: 'assistant', content: 'it swims' },
  ];

  test('count in the answers with their end tokens only', async () => {
    const path = await file('chat.jsonl', [{ messages: turns }]);
    const { train, about } = await loadDataset({ path }, tokenizer);
    expect(texts(train)).toEqual([
      {
        text: tokenizer.renderChat(turns, { addGenerationPrompt: false }),
        said: 'it sings<|im_end|><|im_end|>it swims<|im_end|>',
      },
    ]);
    expect(about.train.targets).toBeLessThan(about.train.tokens);
  });

  test('whatever is said, the weights cover exactly the answers', () => {
    const text = anyText({ maxLength: 12 });
    const pair = fc.tuple(text, text);
    fc.assert(
      fc.property(fc.array(pair, { minLength: 1, maxLength: 4 }), (pairs) => {
        const messages = pairs.flatMap(([question, answer]) => [
          { role: 'user', content: question },
          { role: 'assistant', content: answer },
        ]);
        const { ids, weights } = encodeConversation(tokenizer, messages);
        const said = [...ids].filter((_, index) => weights?.[index] === 1);
        expect(tokenizer.decode(said)).toBe(pairs.map(([, own]) => `${own}<|im_end|>`).join(''));
      }),
      { seed: 1, numRuns: 40 },
    );
  });

  test.each([
    ['asks for answers otherwise than it writes them', 'say: ', 'said: {{ m.content }}<|im_end|>'],
    [
      'hides earlier answers',
      '',
      "{% if m.role == 'assistant' and not loop.last %}X{% else %}{{ m.content }}{% endif %}" +
        '<|im_end|>',
    ],
  ])('by a template that %s are refused', (_, prompt, message) => {
    const template =
      `{% for m in messages %}${message}{% endfor %}` +
      `{% if add_generation_prompt %}${prompt}{% endif %}`;
    const own = withChatTemplate(tokenizer, template);
    const messages = turns.slice(1).map((turn) => ({ ...turn, content: turn.content.slice(0, 5) }));
    expect(() => encodeConversation(own, messages)).toThrow('field "messages[1]" cannot be found');
  });

  test('take a plain template where the tokenizer has none', async () => {
    const path = await file('plain.jsonl', [{ messages: turns.slice(3) }].map(lower));
    const result = await loadDataset({ path }, letters);
    expect(letters.hasChat).toBe(false);
    expect(result.tokenizer.hasChat).toBe(true);
    expect(result.tokenizer.files().get('chat_template.jinja')).toBeDefined();
    expect(texts(result.train, letters)).toEqual([
      { text: '<|user|>\na fish\n<|assistant|>\nit swims<|end|>\n', said: 'it swims<|end|>' },
    ]);
  });
});

function lower(record: { messages: { role: string; content: string }[] }): object {
  const messages = record.messages.map(({ role, content }) => {
    return { role, content: content.replaceAll(/[^a-z ]/g, '') };
  });
  return { messages };
}

describeWithFixtures('conversations by the templates of the fixtures', (fixtures) => {
  const turns = [
    { role: 'user', content: 'How many ships?' },
    { role: 'assistant', content: 'Seven.' },
    { role: 'user', content: 'And tomorrow?' },
    { role: 'assistant', content: 'Eight.' },
  ];

  test.each([
    ['llama3-bpe', 'Seven.<|eot_id|>Eight.<|eot_id|>'],
    ['qwen-bpe', 'Seven.<|im_end|>Eight.<|im_end|>'],
    ['spm-bpe', 'Seven. </s> Eight. </s>'],
  ])('%s', async (name, said) => {
    const own = await loadTokenizer(join(fixtures, 'tokenizers', name));
    const { ids, weights } = encodeConversation(own, turns);
    const chosen = [...ids].filter((_, index) => weights?.[index] === 1);
    expect(own.decode(chosen)).toBe(said);
  });

  test('an answer that loses its thoughts later counts as it is written then', async () => {
    const own = await loadTokenizer(join(fixtures, 'tokenizers', 'qwen-bpe'));
    const thinking = turns.with(1, {
      role: 'assistant',
      content: '<think>\nx\n</think>\n\nSeven.',
    });
    const { ids, weights } = encodeConversation(own, thinking);
    const chosen = [...ids].filter((_, index) => weights?.[index] === 1);
    expect(own.decode(chosen)).toBe('Seven.<|im_end|>Eight.<|im_end|>');
  });
});

describe('files of tokens', () => {
  const documents = (weigh: boolean): TokenDocuments => {
    const builder = new DocumentBuilder();
    builder.add([1, 2, 3], weigh ? [0, 1, 1] : undefined);
    builder.add([]);
    builder.add([260, 0]);
    return builder.build();
  };

  test.each(['u16.bin', 'tokens.safetensors'])('%s gives back what it was given', async (name) => {
    const path = join(folder, name);
    await writeTokens(path, documents(false), { vocabSize: 280 });
    const read = await readTokens(path, { vocabSize: 280 });
    expect([...read.tokens]).toEqual([1, 2, 3, 260, 0]);
    expect([...read.starts]).toEqual([0, 3, 3, 5]);
    const { train } = await loadDataset({ path }, tokenizer);
    expect([...train.tokens]).toEqual([1, 2, 3, 260, 0]);
  });

  test('large vocabularies take four bytes, weights another format', async () => {
    const path = join(folder, 'u32.bin');
    const big = { ...documents(false), tokens: Int32Array.of(1, 2, 3, 70_000, 0) };
    await writeTokens(path, big, { vocabSize: 100_000 });
    expect([...(await readTokens(path, { vocabSize: 100_000 })).tokens]).toEqual([...big.tokens]);
    await expect(writeTokens(path, documents(true), { vocabSize: 280 })).rejects.toThrow(
      'has no place for weights',
    );
    const weighed = join(folder, 'weighed.safetensors');
    await writeTokens(weighed, documents(true), { vocabSize: 280 });
    const { weights } = await readTokens(weighed, { vocabSize: 280 });
    expect([...(weights as Uint8Array)]).toEqual([0, 1, 1, 1, 1]);
  });

  test('say what does not fit', async () => {
    const path = join(folder, 'bad.bin');
    await writeTokens(path, documents(false), { vocabSize: 280 });
    await expect(readTokens(path, { vocabSize: 100 })).rejects.toThrow(
      'tokens[3] is 260; expected an id below 100',
    );
    await writeFile(path, new Uint8Array(6));
    await expect(readTokens(path, { vocabSize: 280 })).rejects.toThrow('bad.bin.json: tokens is 5');
    await rm(`${path}.json`);
    await expect(readTokens(path, { vocabSize: 280 })).rejects.toThrow('bad.bin.json');
    await expect(writeTokens(join(folder, 'x.txt'), documents(false), { vocabSize: 280 }))
      .rejects //
      .toThrow('ends with .bin or .safetensors');
    await expect(writeTokens(path, documents(false), { vocabSize: 5 })).rejects.toThrow(
      'tokens[3] is 260',
    );
  });
});
