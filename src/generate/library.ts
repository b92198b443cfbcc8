import { badArgument } from '../base/errors.ts';
import type { Pretrained } from '../models/types.ts';
import { createEngine } from './engine.ts';
import type { GenerationRequest, TextEngine } from './engine-types.ts';

export type GenerateOptions = Omit<GenerationRequest, 'prompt' | 'logprobs'>;

/**
 * Continues a prompt, a piece of text at a time; leaving the loop ends it. It makes an engine for
 * this one text: who writes more than one makes an engine of their own.
 *
 * @example
 * for await (const piece of generate(await loadModel('my-model'), 'Once upon a time')) {
 *   process.stdout.write(piece);
 * }
 */
export async function* generate(
  pretrained: Pretrained,
  prompt: GenerationRequest['prompt'],
  options: GenerateOptions = {},
): AsyncGenerator<string, void> {
  const engine = createEngine(pretrained, { slots: 1 });
  try {
    for await (const { text } of engine.generate({ ...options, prompt })) {
      if (text !== '') yield text;
    }
  } finally {
    await engine.close();
  }
}

/** The whole continuation of a prompt; see `generate`. */
export async function complete(
  pretrained: Pretrained,
  prompt: GenerationRequest['prompt'],
  options: GenerateOptions = {},
): Promise<string> {
  let text = '';
  for await (const piece of generate(pretrained, prompt, options)) text += piece;
  return text;
}

export interface AnswerOptions extends GenerateOptions {
  /** Prompts that are answered at the same time (default 16). */
  readonly batch?: number;
}

/**
 * The answers to many prompts, in their order: by default the most probable ones, of up to 32 tokens,
 * each ending before a line end.
 *
 * @throws the signal's reason where it fires before the last answer is complete
 */
export async function answerAll(
  engine: TextEngine,
  prompts: readonly GenerationRequest['prompt'][],
  options: AnswerOptions = {},
): Promise<string[]> {
  const { batch = 16, signal, ...given } = options;
  if (!Number.isInteger(batch) || batch < 1) {
    throw badArgument('answerAll', 'batch', batch, 'an integer >= 1');
  }
  const request = { stop: '\n', maxTokens: 32, temperature: 0, ...given };
  const answers = prompts.map(() => '');
  const work = prompts.entries();
  const failed = new AbortController();
  const ends = signal ? AbortSignal.any([signal, failed.signal]) : failed.signal;
  const answer = async () => {
    for (const [i, prompt] of work) {
      ends.throwIfAborted();
      for await (const { text } of engine.generate({ ...request, prompt, signal: ends })) {
        answers[i] += text;
      }
    }
    ends.throwIfAborted();
  };
  const workers = Array.from({ length: Math.min(batch, prompts.length) }, () =>
    // The first error ends the others' work.
    answer().catch((error) => {
      failed.abort(error);
      throw error;
    }),
  );
  const settled = await Promise.allSettled(workers);
  const error = settled.find((result) => result.status === 'rejected');
  if (error) throw failed.signal.reason ?? error.reason;
  return answers;
}
