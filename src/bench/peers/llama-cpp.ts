import { fileURLToPath } from 'node:url';
import { type Child, startChild } from './child.ts';
import { llamaCppFolder } from './llama-cpp-library.ts';

export const LLAMA_CPP = 'llama.cpp';

const CHILD = fileURLToPath(new URL('llama-cpp-child.ts', import.meta.url));
const PATIENCE = 60;

/** What the process of llama.cpp is given. */
export interface LlamaCppTask {
  /** A GGUF file. */
  readonly file: string;
  readonly threads: number;
  readonly vocabulary: number;
  /** Tokens of the prompt. */
  readonly prompt: number;
  /** Single tokens behind it. */
  readonly tokens: number;
}

/**
 * A model in llama.cpp, in a process of its own. Its orders are `prompt`, which reads the prompt into
 * an empty context, and `tokens`, which decodes single tokens behind it.
 *
 * @throws AbsentPeer where it is not installed
 */
export function openLlamaCppChild(task: LlamaCppTask): Promise<Child> {
  llamaCppFolder();
  const args = [CHILD, JSON.stringify(task)];
  return startChild({ command: process.execPath, args, patienceSeconds: PATIENCE });
}
