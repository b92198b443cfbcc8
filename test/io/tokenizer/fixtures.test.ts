import { join } from 'node:path';
import { expect, test } from 'vitest';
import { loadTokenizer } from '../../../src/io/tokenizer/load.ts';
import type { ChatMessage } from '../../../src/io/tokenizer/types.ts';
import { describeWithFixtures, readJson } from '../../support/fixtures.ts';

interface Vectors {
  readonly vocab_size: number;
  readonly strings: readonly {
    readonly text: string;
    readonly ids: readonly number[];
    readonly ids_with_special: readonly number[];
    readonly tokens: readonly string[];
    readonly decoded: string;
    readonly decoded_skip_special: string;
  }[];
  readonly pairs: readonly {
    readonly first: string;
    readonly second: string;
    readonly ids: readonly number[];
    readonly type_ids: readonly number[];
  }[];
  readonly chats: readonly {
    readonly name: string;
    readonly messages: readonly ChatMessage[];
    readonly tools?: readonly unknown[];
    readonly options: Readonly<Record<string, unknown>>;
    readonly text?: string;
    readonly ids?: readonly number[];
    readonly error?: string;
  }[];
}

const NAMES = ['gpt2-bpe', 'llama3-bpe', 'qwen-bpe', 'spm-bpe', 'spm-bpe-legacy', 'bert-wordpiece'];

describeWithFixtures('the tokenizers of the fixtures', (folder) => {
  test.each(NAMES)('%s: ids, tokens, decoded texts', async (name) => {
    const tokenizer = await loadTokenizer(join(folder, 'tokenizers', name));
    const { strings, vocab_size } = vectors(folder, name);
    expect(tokenizer.size).toBe(vocab_size);
    for (const { text, ids, ids_with_special, tokens, decoded, decoded_skip_special } of strings) {
      const own = [...tokenizer.encode(text, { parseSpecial: true })];
      expect(own, JSON.stringify(text)).toEqual(ids);
      expect(own.map((id) => tokenizer.tokenOf(id))).toEqual(tokens);
      const framed = tokenizer.encode(text, { parseSpecial: true, addSpecial: true });
      expect([...framed], JSON.stringify(text)).toEqual(ids_with_special);
      expect(tokenizer.decode(ids)).toBe(decoded);
      expect(tokenizer.decode(ids_with_special, { skipSpecial: true })).toBe(decoded_skip_special);
    }
  });

  test.each(NAMES)('%s: pairs', async (name) => {
    const tokenizer = await loadTokenizer(join(folder, 'tokenizers', name));
    for (const { first, second, ids, type_ids } of vectors(folder, name).pairs) {
      const options = { addSpecial: true, parseSpecial: true };
      const pair = tokenizer.encodePair(first, second, options);
      expect([...pair.ids], JSON.stringify([first, second])).toEqual(ids);
      expect([...pair.typeIds]).toEqual(type_ids);
    }
  });

  test.each(NAMES)('%s: chats', async (name) => {
    const tokenizer = await loadTokenizer(join(folder, 'tokenizers', name));
    for (const { name: chat, messages, tools, options, text, ids, error } of vectors(folder, name)
      .chats) {
      const {
        add_generation_prompt: addGenerationPrompt = false,
        continue_final_message: continueFinalMessage = false,
        ...variables
      } = options as { add_generation_prompt?: boolean; continue_final_message?: boolean };
      const own = {
        addGenerationPrompt,
        continueFinalMessage,
        variables,
        ...(tools ? { tools } : {}),
      };
      if (error !== undefined) {
        expect(() => tokenizer.renderChat(messages, own), chat).toThrow(error);
        continue;
      }
      expect(tokenizer.renderChat(messages, own), chat).toBe(text);
      expect([...tokenizer.encode(text as string, { parseSpecial: true })], chat).toEqual(ids);
      const encoded = [...tokenizer.encodeChat(messages, own)];
      if (chat === 'special_tokens_in_content') {
        expect(encoded).not.toEqual(ids);
        // The legacy normaliser begins each piece between special tokens with a space.
        const letters = (list: readonly number[]) => tokenizer.decode(list).replaceAll(' ', '');
        expect(letters(encoded)).toBe(letters(ids as readonly number[]));
      } else {
        expect(encoded, chat).toEqual(ids);
      }
    }
  });

  test.each(NAMES)('%s: the bytes of tokens are the decoded text', async (name) => {
    const tokenizer = await loadTokenizer(join(folder, 'tokenizers', name));
    for (const { ids, decoded } of vectors(folder, name).strings) {
      const bytes = Buffer.concat(ids.map((id) => tokenizer.bytesOf(id)));
      const text = bytes.toString('utf8');
      expect([decoded, ` ${decoded}`]).toContain(text);
    }
  });
});

function vectors(folder: string, name: string): Vectors {
  return readJson<Vectors>(folder, 'tokenizers', name, 'vectors.json');
}
