import { serveOrders } from './child.ts';
import type { LlamaCppTask } from './llama-cpp.ts';
import { openLlamaCpp } from './llama-cpp-library.ts';

/**
 * The process of llama.cpp: opens the model that its argument tells, and at each order reads the
 * prompt anew, or gives single tokens behind it. As in llama.cpp's own benchmark no token is chosen.
 */
const { prompt, tokens, ...options } = JSON.parse(process.argv[2]) as LlamaCppTask;
const llama = openLlamaCpp({ ...options, context: prompt + tokens });
const text = Int32Array.from({ length: prompt }, (_, i) => (i * 7919) % options.vocabulary);
const singles = Array.from({ length: tokens }, (_, i) => text.slice(i % prompt, (i % prompt) + 1));
const fill = () => {
  llama.keep(0);
  llama.decode(text);
};
fill();
const { version, variant, parameters } = llama;
await serveOrders({ version, variant, parameters }, (order) => {
  if (order === 'prompt') return fill();
  for (const single of singles) llama.decode(single);
  // The next run finds the prompt alone again.
  llama.keep(prompt);
});
