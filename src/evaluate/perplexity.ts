import { badArgument } from '../base/errors.ts';
import type { Tokenizer } from '../io/tokenizer/types.ts';
import type { CausalLM } from '../models/index.ts';
import { crossEntropy } from '../tensor/functions/index.ts';
import { jit, type Tensor, tensor } from '../tensor/index.ts';
import { type Protocol, type Window, windowsOf } from './windows.ts';

export interface PerplexityOptions {
  /** How the text is cut and what is scored (default windows); see `Protocol`. */
  readonly protocol?: Protocol | undefined;
  /** Tokens of a window (default: the model's context, at most 2048; llama.cpp: 512). */
  readonly context?: number | undefined;
  /** Ends the work with an error after the pass in progress. */
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((done: number, all: number) => void) | undefined;
}

/** How well a model foresees a text. */
export interface Perplexity {
  readonly protocol: Protocol;
  readonly context: number;
  /** Tokens that were scored. */
  readonly tokens: number;
  /** Mean negative log-likelihood of a scored token, in nats. */
  readonly loss: number;
  /** exp(loss) */
  readonly perplexity: number;
  /** exp of the nats of a word, where the protocol scores the whole text (as lm-eval). */
  readonly wordPerplexity?: number;
  /** Bits of a byte of the text, where the protocol scores the whole text. */
  readonly bitsPerByte?: number;
}

/** Most numbers of a pass's logits: 256 MB of f32. */
const LOGITS = 2 ** 26;
const MOST_ROWS = 8;

/**
 * The perplexity of a model on a text. Figures of different protocols cannot be compared.
 *
 * @throws RangeError for a text that is too short for the protocol
 */
export async function perplexity(
  model: CausalLM,
  tokenizer: Tokenizer,
  text: string,
  options: PerplexityOptions = {},
): Promise<Perplexity> {
  const { protocol = 'windows', signal, onProgress } = options;
  const { max_position_embeddings: longest, vocab_size: vocabulary } = model.config;
  const context = options.context ?? Math.min(longest, protocol === 'llama.cpp' ? 512 : 2048);
  if (!Number.isInteger(context) || context < 2 || context > longest) {
    const expected = `an integer from 2 to the model's context of ${longest}`;
    throw badArgument('perplexity', 'context', context, expected);
  }
  const windows = windowsOf(tokenizer, text, { protocol, context });
  const rows = Math.max(1, Math.min(MOST_ROWS, Math.floor(LOGITS / (context * vocabulary))));
  const score = jit((inputs: Tensor, targets: Tensor) => {
    const logits = model.forward(inputs).reshape([-1, vocabulary]);
    return crossEntropy(logits, targets.reshape([-1]), { reduction: 'none' });
  });
  let nats = 0;
  let tokens = 0;
  try {
    for (let at = 0; at < windows.length; at += rows) {
      signal?.throwIfAborted();
      const some = windows.slice(at, at + rows);
      const losses = await lossesOf(score, model, some, [rows, context - 1], signal);
      some.forEach(({ from, ids }, row) => {
        for (let i = from; i < ids.length; i++) nats += losses[row * (context - 1) + i - 1];
        tokens += ids.length - from;
      });
      onProgress?.(Math.min(at + rows, windows.length), windows.length);
    }
  } finally {
    score.dispose();
  }
  const loss = nats / tokens;
  const whole = protocol === 'document' && {
    wordPerplexity: Math.exp(nats / Math.max(1, text.split(/\s+/).filter(Boolean).length)),
    bitsPerByte: nats / Math.LN2 / new TextEncoder().encode(text).length,
  };
  return { protocol, context, tokens, loss, perplexity: Math.exp(loss), ...whole };
}

/** The loss of each place of some windows, [rows, columns]; what is no target is computed too. */
async function lossesOf(
  score: (inputs: Tensor, targets: Tensor) => Promise<Tensor>,
  model: CausalLM,
  windows: readonly Window[],
  shape: readonly [rows: number, columns: number],
  signal: AbortSignal | undefined,
): Promise<ArrayLike<number>> {
  const [rows, columns] = shape;
  const inputs = new Int32Array(rows * columns);
  const targets = new Int32Array(rows * columns);
  windows.forEach(({ ids }, row) => {
    inputs.set(ids.subarray(0, -1), row * columns);
    targets.set(ids.subarray(1), row * columns);
  });
  const [cell] = model.state().values();
  const place = { shape, ...(cell && { device: cell.held.device }) };
  const used = [tensor(inputs, place), tensor(targets, place)] as const;
  try {
    const result = await score(...used);
    try {
      signal?.throwIfAborted();
      return await result.data();
    } finally {
      result.dispose();
    }
  } finally {
    for (const t of used) t.dispose();
  }
}
