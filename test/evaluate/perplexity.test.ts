import { describe, expect, it } from 'vitest';
import { measureSpeed, perplexity, windowsOf } from '../../src/evaluate/index.ts';
import { type CausalLM, Llama, llamaConfig } from '../../src/models/index.ts';
import { random, tensor } from '../../src/tensor/index.ts';
import { byteTokenizer } from '../support/byte-tokenizer.ts';

const TEXT = 'It was the best of times, it was the worst of times, it was the age of wisdom.';

function model(context = 32): CausalLM {
  random.seed(5);
  const config = llamaConfig({
    vocab_size: 257,
    hidden_size: 16,
    intermediate_size: 24,
    num_hidden_layers: 1,
    num_attention_heads: 2,
    max_position_embeddings: context,
  });
  return new Llama(config, { std: 0.4 }) as unknown as CausalLM;
}

/** The same by the definition: one window, one token at a time, in doubles. */
async function slow(llama: CausalLM, ids: readonly number[], from: number): Promise<number[]> {
  const logits = await llama.forward(tensor([[...ids]], { dtype: 'i32' })).toArray();
  const [rows] = logits as number[][][];
  return ids.slice(from).map((id, i) => {
    const row = rows[from + i - 1];
    const top = Math.max(...row);
    const total = row.reduce((sum, v) => sum + Math.exp(v - top), 0);
    return Math.log(total) + top - row[id];
  });
}

const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;

describe('perplexity', () => {
  const tokenizer = byteTokenizer();
  const ids = [...tokenizer.encode(TEXT)];

  it('windows: every token but the first of each whole window', async () => {
    const llama = model();
    const measured = await perplexity(llama, tokenizer, TEXT, { context: 20 });
    const parts = [0, 20, 40].map((at) => slow(llama, ids.slice(at, at + 20), 1));
    const losses = (await Promise.all(parts)).flat();
    expect(measured).toMatchObject({ protocol: 'windows', context: 20, tokens: 57 });
    expect(measured.loss).toBeCloseTo(mean(losses), 5);
    expect(measured.perplexity).toBeCloseTo(Math.exp(mean(losses)), 2);
    expect(measured.bitsPerByte).toBeUndefined();
  });

  it('llama.cpp: begin token first, second half scored', async () => {
    const llama = model();
    const measured = await perplexity(llama, byteTokenizer({ bos: true }), TEXT, {
      protocol: 'llama.cpp',
      context: 32,
    });
    const all = [256, ...ids];
    const parts = [0, 32].map((at) => slow(llama, [256, ...all.slice(at + 1, at + 32)], 17));
    const losses = (await Promise.all(parts)).flat();
    expect(measured.tokens).toBe(30);
    expect(measured.loss).toBeCloseTo(mean(losses), 5);
  });

  it('document: every token once, by word and byte, too', async () => {
    const llama = model();
    const measured = await perplexity(llama, byteTokenizer({ bos: true }), TEXT, {
      protocol: 'document',
      context: 16,
    });
    const all = [256, ...ids];
    const losses: number[] = [];
    for (let at = 0; at < all.length - 1; at += 15) {
      losses.push(...(await slow(llama, all.slice(at, at + 16), 1)));
    }
    const nats = losses.reduce((a, b) => a + b, 0);
    expect(measured.tokens).toBe(ids.length);
    expect(measured.loss).toBeCloseTo(nats / ids.length, 5);
    expect(measured.bitsPerByte).toBeCloseTo(nats / Math.LN2 / ids.length, 4);
    expect(Math.log(measured.wordPerplexity ?? 0)).toBeCloseTo(nats / 18, 3);
  });

  it('refuses what cannot be measured, by name', async () => {
    const llama = model();
    await expect(perplexity(llama, tokenizer, 'short', {})).rejects.toThrow(
      'the text has 5 tokens',
    );
    await expect(perplexity(llama, tokenizer, TEXT, { context: 33 })).rejects.toThrow(
      'context is 33; expected an integer from 2 to the model',
    );
    const protocol = 'half' as 'windows';
    expect(() => windowsOf(tokenizer, TEXT, { protocol, context: 8 })).toThrow(
      'protocol is "half"',
    );
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(perplexity(llama, tokenizer, TEXT, { signal })).rejects.toThrow('enough');
  });
});

it('speed is measured in tokens a second, within a short context, too', async () => {
  const speed = await measureSpeed(model(16), { newTokens: 4 });
  expect(speed).toMatchObject({ promptTokens: 8, newTokens: 4 });
  expect(speed.prefill).toBeGreaterThan(0);
  expect(speed.decode).toBeGreaterThan(0);
});
