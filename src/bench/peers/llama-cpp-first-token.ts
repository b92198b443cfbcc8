import { openLlamaCpp } from './llama-cpp-library.ts';

/** What the process is given: a GGUF file, threads, and the text to continue. */
export interface FirstTokenTask {
  readonly file: string;
  readonly threads: number;
  readonly context: number;
  readonly prompt: string;
}

/** A process that writes the most probable token behind a prompt, as llama.cpp finds it. */
const { prompt, ...options } = JSON.parse(process.argv[2]) as FirstTokenTask;
const llama = openLlamaCpp(options);
llama.decode(llama.tokenize(prompt));
const logits = llama.logits();
let best = 0;
for (let i = 1; i < logits.length; i++) if (logits[i] > logits[best]) best = i;
process.stdout.write(`${JSON.stringify({ id: best, text: llama.textOf(best) })}\n`);
