import type { GenerationChunk, GenerationRequest, TextEngine } from '../generate/index.ts';
import type { ChatMessage, Tokenizer } from '../io/index.ts';

/** How a conversation is held: where lines come from and where text goes. */
export interface ChatTerminal {
  /** The next line of the user, or undefined where there are no more. */
  ask(): Promise<string | undefined>;
  write(text: string): void;
  /** What is no part of the conversation. */
  note(text: string): void;
  /** A signal that stops the answer that is being written, and nothing else. */
  stopSignal(): AbortSignal;
}

export interface ChatSettings {
  readonly engine: TextEngine;
  readonly tokenizer: Tokenizer;
  readonly system?: string | undefined;
  readonly request: Omit<GenerationRequest, 'prompt' | 'signal'>;
}

/** Share of the context that is kept free for an answer. */
const ROOM = 1 / 4;

const HELP = 'An empty line or Ctrl-D ends, Ctrl-C stops an answer, /new begins anew.';

/** What a text took. */
export interface Written {
  readonly promptTokens: number;
  readonly tokens: number;
  /** Seconds until the first piece of text, and from there to the end. */
  readonly waited: number;
  readonly seconds: number;
  /** Tokens that came with the first piece. */
  readonly first: number;
}

/** Takes the time of a text while its pieces come. */
export class Stopwatch {
  readonly #start = performance.now();
  #first: { readonly time: number; readonly tokens: number } | undefined;

  take({ ids }: GenerationChunk): void {
    this.#first ??= { time: performance.now(), tokens: ids.length };
  }

  end(promptTokens: number, tokens: number): Written {
    const now = performance.now();
    const { time, tokens: first } = this.#first ?? { time: now, tokens: 0 };
    const waited = (time - this.#start) / 1000;
    return { promptTokens, tokens, first, waited, seconds: (now - time) / 1000 };
  }
}

/** Holds a conversation until the user ends it. */
export async function chat(settings: ChatSettings, terminal: ChatTerminal): Promise<void> {
  const conversation = new Conversation(settings);
  terminal.note(HELP);
  for (;;) {
    const line = await terminal.ask();
    if (line === undefined || line.trim() === '') return;
    if (line.trim() === '/new') {
      conversation.restart();
      terminal.note('A new conversation.');
      continue;
    }
    try {
      const { dropped, written } = await conversation.answer(line, terminal);
      if (dropped > 0) terminal.note(`(the first ${dropped} messages no longer fit the context)`);
      terminal.note(rate(written));
    } catch (error) {
      terminal.note(`error: ${(error as Error).message}`);
    }
  }
}

/** "48 tokens, 120.5 tokens/s; the first after 0.21 s (prompt of 31 tokens)" */
export function rate({ promptTokens, tokens, first, waited, seconds }: Written): string {
  const count = (n: number) => `${n} ${n === 1 ? 'token' : 'tokens'}`;
  const speed = tokens > first ? `, ${((tokens - first) / seconds).toFixed(1)} tokens/s` : '';
  const start = `the first after ${waited.toFixed(2)} s (prompt of ${count(promptTokens)})`;
  return `${count(tokens)}${speed}; ${start}`;
}

/** The messages so far. */
export class Conversation {
  readonly #settings: ChatSettings;
  #messages: ChatMessage[] = [];

  constructor(settings: ChatSettings) {
    this.#settings = settings;
  }

  restart(): void {
    this.#messages = [];
  }

  /**
   * Answers a message, which both become part of the conversation. What does not fit into the
   * context is dropped from its beginning, but for the system's message. One that fails is as if it
   * had not been.
   */
  async answer(
    content: string,
    terminal: Pick<ChatTerminal, 'write' | 'stopSignal'>,
  ): Promise<{ dropped: number; written: Written; text: string }> {
    const before = [...this.#messages];
    this.#messages.push({ role: 'user', content });
    try {
      return await this.#write(terminal);
    } catch (error) {
      this.#messages = before;
      throw error;
    }
  }

  async #write(terminal: Pick<ChatTerminal, 'write' | 'stopSignal'>) {
    const { engine, request } = this.#settings;
    const { prompt, dropped } = this.#prompt();
    const watch = new Stopwatch();
    let text = '';
    let tokens = 0;
    const signal = terminal.stopSignal();
    for await (const chunk of engine.generate({ ...request, prompt, answer: true, signal })) {
      watch.take(chunk);
      text += chunk.text;
      tokens = chunk.finish?.completionTokens ?? tokens;
      terminal.write(chunk.text);
    }
    terminal.write('\n');
    this.#messages.push({ role: 'assistant', content: text });
    return { dropped, text, written: watch.end(prompt.length, tokens) };
  }

  #prompt(): { prompt: Int32Array; dropped: number } {
    const { engine, tokenizer, system } = this.#settings;
    const first: ChatMessage[] = system === undefined ? [] : [{ role: 'system', content: system }];
    const most = engine.context - Math.ceil(engine.context * ROOM);
    for (let dropped = 0; ; dropped += 2) {
      const prompt = tokenizer.encodeChat([...first, ...this.#messages]);
      // The last message stays, whatever its length: the engine says what is wrong with it.
      if (prompt.length <= most || this.#messages.length <= 2) return { prompt, dropped };
      this.#messages.splice(0, 2);
    }
  }
}
