/** A child process of tests: saves checkpoints as fast as it can, until it is killed. */
import { join } from 'node:path';
import { removeFolder, writeFolderAtomic } from '../../src/io/folders.ts';

const [folder = '', from = '1'] = process.argv.slice(2);
const KEEP = 2;

for (let step = Number(from); ; step++) {
  const content = new Uint8Array(200_000).fill(step % 251);
  const files = new Map([
    ['model.safetensors', [content, content]],
    ['optimizer.safetensors', [content]],
  ]);
  await writeFolderAtomic(join(folder, `step-${step}`), files);
  process.stdout.write(`${step}\n`);
  if (step > KEEP) await removeFolder(join(folder, `step-${step - KEEP}`));
}
