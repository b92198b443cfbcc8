import { setTimeout as sleep } from 'node:timers/promises';
import type {
  FinishReason,
  GenerationChunk,
  GenerationRequest,
  TextEngine,
  TokenLogprob,
} from '../../src/generate/engine-types.ts';
import type { ChatMessage, ChatOptions, EncodeOptions, Tokenizer } from '../../src/io/index.ts';

class QueueFullError extends Error {
  override readonly name = 'QueueFullError';
}

export interface Script {
  /** The tokens of an answer (default: a greeting that ends with the seed, where there is one). */
  readonly tokens?: (request: GenerationRequest) => Iterable<string>;
  /** Milliseconds before each token (default 0). */
  readonly delay?: number;
  readonly context?: number;
  readonly slots?: number;
  readonly maxWaiting?: number;
}

export const GREETING: readonly string[] = ['Hel', 'lo', ', ', 'wor', 'ld', '!'];

/** An engine without a model: it says what it is told to, and remembers what it was asked. */
export class ScriptedEngine implements TextEngine {
  readonly context: number;
  readonly capacity: number;
  readonly requests: GenerationRequest[] = [];
  /** Requests that their signal or their reader ended, while they ran and while they waited. */
  readonly ended = { running: 0, waiting: 0 };
  readonly #script: Script;
  readonly #queue: (() => void)[] = [];
  #running = 0;

  constructor(script: Script = {}) {
    this.#script = script;
    this.context = script.context ?? 512;
    this.capacity = (script.slots ?? 4) + (script.maxWaiting ?? 4);
  }

  stats() {
    return { running: this.#running, waiting: this.#queue.length };
  }

  async close(): Promise<void> {}

  generate(request: GenerationRequest): AsyncIterable<GenerationChunk> {
    const { slots = 4, maxWaiting = 4 } = this.#script;
    if (this.#running >= slots && this.#queue.length >= maxWaiting) {
      throw new QueueFullError(`${maxWaiting} requests wait already`);
    }
    this.requests.push(request);
    const left = new AbortController();
    const signal = AbortSignal.any([left.signal, ...(request.signal ? [request.signal] : [])]);
    const pieces: (GenerationChunk | Error | undefined)[] = [];
    let wake = () => {};
    const give = (piece: GenerationChunk | Error | undefined) => {
      pieces.push(piece);
      wake();
    };
    // Whoever reads or does not: it is written.
    this.#write(request, signal, give).then(() => give(undefined), give);
    return (async function* () {
      try {
        for (;;) {
          while (pieces.length === 0) {
            await new Promise<void>((resolve) => {
              wake = resolve;
            });
          }
          const piece = pieces.shift();
          if (piece === undefined) return;
          if (piece instanceof Error) throw piece;
          yield piece;
        }
      } finally {
        left.abort();
      }
    })();
  }

  /** Waits for a place; resolves to whether there was one before the signal came. */
  async #enter(signal: AbortSignal): Promise<boolean> {
    if (this.#running < (this.#script.slots ?? 4)) {
      this.#running++;
      return true;
    }
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const enter = () => resolve(true);
    this.#queue.push(enter);
    signal.addEventListener('abort', () => {
      const at = this.#queue.indexOf(enter);
      if (at >= 0) this.#queue.splice(at, 1);
      resolve(false);
    });
    return promise;
  }

  #leave(): void {
    const next = this.#queue.shift();
    if (next) next();
    else this.#running--;
  }

  async #write(
    request: GenerationRequest,
    signal: AbortSignal,
    give: (piece: GenerationChunk) => void,
  ): Promise<void> {
    const { maxTokens = Number.POSITIVE_INFINITY, prompt } = request;
    let completionTokens = 0;
    const end = (reason: FinishReason) =>
      give({
        text: '',
        ids: [],
        finish: { reason, promptTokens: prompt.length, completionTokens },
      });
    if (!(await this.#enter(signal))) {
      this.ended.waiting++;
      end('abort');
      return;
    }
    try {
      for (const text of this.#script.tokens?.(request) ?? greeting(request)) {
        if (completionTokens >= maxTokens) return end('length');
        await sleep(this.#script.delay ?? 0);
        if (signal.aborted) {
          this.ended.running++;
          return end('abort');
        }
        completionTokens++;
        give(piece(text, request));
      }
      end('stop');
    } finally {
      this.#leave();
    }
  }
}

function greeting({ seed }: GenerationRequest): readonly string[] {
  return seed === undefined ? GREETING : [...GREETING, ` ${seed}`];
}

function piece(text: string, { logprobs }: GenerationRequest): GenerationChunk {
  const chunk = { text, ids: [...Buffer.from(text)].slice(0, 1) };
  return logprobs === undefined ? chunk : { ...chunk, logprobs: [logprob(text, logprobs)] };
}

function logprob(text: string, top: number): TokenLogprob {
  const entry = (text: string, logprob: number) => ({
    id: text.charCodeAt(0),
    text,
    bytes: [...Buffer.from(text)],
    logprob,
  });
  const others = Array.from({ length: top }, (_, i) =>
    i === 0 ? entry(text, -0.5) : entry(`t${i}`, i === 1 ? Number.NEGATIVE_INFINITY : -1 - i),
  );
  return { ...entry(text, -0.5), top: others };
}

/** A tokenizer of bytes, with the two special tokens of ChatML as 256 and 257. */
export class ByteTokenizer implements Tokenizer {
  readonly size = 258;
  readonly bosId = undefined;
  readonly eosIds = [257];
  readonly hasChat: boolean;
  /** What the template was given last. */
  seen: { messages: readonly ChatMessage[]; options: ChatOptions } | undefined;

  constructor({ hasChat = true } = {}) {
    this.hasChat = hasChat;
  }

  encode(text: string, _options?: EncodeOptions): Int32Array {
    if (text.includes('\u{1F4A5}')) throw new RangeError('the vocabulary has no "\u{1F4A5}"');
    return Int32Array.from(Buffer.from(text));
  }

  decode(ids: ArrayLike<number>): string {
    return Buffer.from(Array.from(ids).filter((id) => id < 256)).toString();
  }

  bytesOf(id: number): Uint8Array {
    return id < 256 ? Uint8Array.of(id) : new Uint8Array();
  }

  idOf(): undefined {
    return undefined;
  }

  tokenOf(): undefined {
    return undefined;
  }

  isSpecial(id: number): boolean {
    return id >= 256;
  }

  renderChat(messages: readonly ChatMessage[]): string {
    return messages.map(({ role, content }) => `${role}\n${String(content)}\n`).join('');
  }

  encodeChat(messages: readonly ChatMessage[], options: ChatOptions = {}): Int32Array {
    this.seen = { messages, options };
    if (messages[0].role === 'tool') throw new Error('a conversation cannot begin with a tool');
    const ids = messages.flatMap((one) => [256, ...this.encode(this.renderChat([one])), 257]);
    return Int32Array.from([...ids, 256, ...this.encode('assistant\n')]);
  }

  files(): ReadonlyMap<string, string> {
    return new Map();
  }
}
