import { request } from 'node:http';
import { createEngine } from '../generate/index.ts';
import { characterTokenizer } from '../io/index.ts';
import { Llama, llamaConfig } from '../models/index.ts';
import { startServer } from '../serve/index.ts';
import type { QuantSchemeName } from '../tensor/functions/index.ts';
import type { Bench, BenchOptions } from './bench.ts';
import { race, repeating } from './harness.ts';
import { type Measurement, measurement, SUBJECT, withMore } from './measurement.ts';
import { packRandomly } from './random-weights.ts';

/** What the server's rate is compared with: the same engine, read by a loop. */
const BARE = 'engine';

export interface ServeCase {
  readonly dim: number;
  readonly layers: number;
  readonly heads: number;
  /** Tokens of an answer. */
  readonly tokens: number;
  /** Random packed weights of this scheme, and the vocabulary of a large model. */
  readonly packed?: QuantSchemeName;
}

const SMALL: ServeCase = { dim: 256, layers: 6, heads: 8, tokens: 128 };

/** The model of the bench `decode`. */
const LARGE: ServeCase = { dim: 768, layers: 12, heads: 12, tokens: 64, packed: 'int4-g32' };
const LARGE_VOCABULARY = 32000;

/**
 * Tokens a second of streamed answers, over HTTP and from the engine itself. Server and client share
 * the process, so the client's share is in the figure, too.
 */
export async function* runServe(
  { device, timing, threads }: BenchOptions,
  { dim, layers, heads, tokens, packed }: ServeCase,
): AsyncGenerator<Measurement> {
  const prompt = 'Once upon a time';
  const letters = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i)).join('');
  const tokenizer = characterTokenizer(letters);
  const config = llamaConfig({
    vocab_size: packed ? LARGE_VOCABULARY : tokenizer.size,
    tie_word_embeddings: !packed,
    hidden_size: dim,
    intermediate_size: Math.ceil(dim / 3) * 8,
    num_hidden_layers: layers,
    num_attention_heads: heads,
    max_position_embeddings: prompt.length + tokens,
  });
  const model = new Llama(config, { device });
  if (packed) await packRandomly(model, packed, device);
  const engine = createEngine({ model, tokenizer, generation: {} });
  const server = await startServer({ engine, tokenizer, model: 'bench', port: 0, page: undefined });
  const asked = { prompt, max_tokens: tokens, temperature: 1, seed: 1, stream: true };
  const bare = async () => {
    const wish = { prompt, maxTokens: tokens, temperature: 1, seed: 1 };
    for await (const { finish } of engine.generate(wish)) {
      if (finish) expectTokens(finish.completionTokens, tokens);
    }
  };
  try {
    const seconds = await race(
      [
        repeating(SUBJECT, () => post(`${server.origin}/v1/completions`, asked)),
        repeating(BARE, bare),
      ],
      { ...timing, warmSeconds: 2 * timing.warmSeconds },
    );
    const title = `streamed answers of ${tokens} tokens, d ${dim}, ${layers} layers${packed ? `, ${packed}` : ''}`;
    const labels = { bench: 'serve', case: title, device, threads, unit: 'tokens/s' };
    const result = measurement(labels, seconds, (s) => tokens / s);
    yield withMore(result, { 'of the engine': result.value / result.peers[BARE] });
  } finally {
    await server.stop();
    await engine.close();
    model.dispose();
  }
}

function expectTokens(found: number, wanted: number): void {
  if (found !== wanted) throw new Error(`serve: ${found} tokens; expected ${wanted}`);
}

/** Reads an answer to its end and counts its events. */
function post(url: string, body: { max_tokens: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    const options = { method: 'POST', headers: { 'content-type': 'application/json' } };
    const call = request(url, options, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      response.on('error', reject).on('end', () => {
        if (text.endsWith('data: [DONE]\n\n')) resolve();
        else reject(new Error(`serve: the answer has no end: ${text.slice(-200)}`));
      });
    });
    call.on('error', reject).end(JSON.stringify(body));
  });
}

export const SERVE: Bench = {
  name: 'serve',
  summary: 'tokens a second over HTTP, beside the engine alone',
  async *run(options) {
    for (const each of [SMALL, LARGE]) yield* runServe(options, each);
  },
};
