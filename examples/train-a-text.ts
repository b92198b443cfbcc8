// Trains a character model on a text of your own for half a minute and lets it write.
//
//   node examples/train-a-text.ts book.txt
//
// In the repository run `npm ci` first: it builds the package that is imported here by its name.

import { readFile } from 'node:fs/promises';
import { generate } from 'tersor/generate';
import { characterTokenizer } from 'tersor/io';
import { Llama, llamaConfig, saveModel } from 'tersor/models';
import { random } from 'tersor/tensor';
import { trainLanguageModel } from 'tersor/train';

const [file, folder] = process.argv.slice(2);
if (file === undefined) {
  console.error('Usage: node examples/train-a-text.ts FILE [FOLDER FOR THE MODEL]');
  process.exit(1);
}

const text = await readFile(file, 'utf8');
const tokenizer = characterTokenizer(text);

random.seed(1);
const model = new Llama(
  llamaConfig({
    vocab_size: tokenizer.size,
    hidden_size: 64,
    intermediate_size: 176,
    num_hidden_layers: 3,
    num_attention_heads: 4,
    max_position_embeddings: 96,
  }),
);

await trainLanguageModel({
  model,
  tokens: tokenizer.encode(text),
  options: { seconds: 30, batch: 8, sequence: 96, lr: 5e-3 },
  onProgress: ({ step, loss }) => {
    if (step % 50 === 0) console.log(`step ${step}: loss ${loss.toFixed(3)}`);
  },
});

for await (const piece of generate(model, tokenizer, '\n', { maxTokens: 300, temperature: 0.8 })) {
  process.stdout.write(piece);
}
console.log();

if (folder !== undefined) await saveModel(folder, { model, tokenizer });
