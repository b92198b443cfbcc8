import { createInterface } from 'node:readline/promises';
import type { ChatTerminal } from './chat.ts';

/** The user's terminal: lines by readline, with its history and editing. */
export interface UserTerminal extends ChatTerminal {
  close(): void;
}

/** @param signal ends the conversation */
export function userTerminal(signal: AbortSignal): UserTerminal {
  const lines = createInterface({ input: process.stdin, output: process.stdout });
  let answering: AbortController | undefined;
  const ended = new AbortController();
  // Ctrl-C stops an answer; where none is being written it ends the conversation.
  lines.on('SIGINT', () => {
    if (answering && !answering.signal.aborted) answering.abort();
    else lines.close();
  });
  lines.on('close', () => ended.abort());
  signal.addEventListener('abort', () => lines.close());
  return {
    ask: async () => {
      answering = undefined;
      if (ended.signal.aborted) return undefined;
      try {
        return await lines.question('> ', { signal: ended.signal });
      } catch (error) {
        if (ended.signal.aborted) return undefined;
        throw error;
      }
    },
    write: (text) => process.stdout.write(text),
    note: (text) => console.error(dim(text)),
    stopSignal: () => {
      answering = new AbortController();
      return AbortSignal.any([answering.signal, signal]);
    },
    close: () => lines.close(),
  };
}

function dim(text: string): string {
  return process.stderr.isTTY && !process.env['NO_COLOR'] ? `\x1b[2m${text}\x1b[0m` : text;
}
