import { mkdtempSync, readFileSync, rmSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { device } from '../../src/device/index.ts';
import { openCheckpoint } from '../../src/io/checkpoint.ts';
import { folderSource } from '../../src/io/files.ts';
import { memorySource } from '../../src/io/source.ts';
import { loadModel, saveModel } from '../../src/models/node.ts';
import { mappedTensor } from '../../src/tensor/index.ts';
import { tinyModel } from '../support/tiny.ts';
import { unsupported } from './native-code.ts';

const folder = mkdtempSync(join(tmpdir(), 'tersor-native-model-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('places of tensors in files', () => {
  it('are told for files of this machine, and hold the numbers', async () => {
    const model = tinyModel();
    await saveModel(folder, { model });
    const checkpoint = await openCheckpoint(folderSource(folder));
    const name = 'model.layers.0.mlp.up_proj.weight';
    const { data } = await checkpoint.read(name);
    const place = checkpoint.locate(name);
    expect(place?.path).toBe(join(folder, 'model.safetensors'));
    const bytes = readFileSync(place?.path as string);
    const { offset, bytes: length } = place as { offset: number; bytes: number };
    expect([...bytes.subarray(offset, offset + length)]).toEqual([...new Uint8Array(data.buffer)]);
    expect(checkpoint.locate('none')).toBeUndefined();
    await checkpoint.close();
    const elsewhere = await openCheckpoint(
      memorySource(new Map([['model.safetensors', new Uint8Array(bytes)]])),
    );
    expect(elsewhere.locate(name)).toBeUndefined();
  });
});

describe.skipIf(unsupported !== undefined)('a model on device native', () => {
  const file = join(folder, 'model.safetensors');
  const mappings = () =>
    readFileSync('/proc/self/maps', 'utf8')
      .split('\n')
      .filter((line) => line.includes(file)).length;

  it('reads its weights where they lie in the file', async () => {
    const model = tinyModel();
    await saveModel(folder, { model });
    const { model: loaded } = await loadModel(folder, { device: 'native' });
    expect(mappings()).toBeGreaterThan(0);
    for (const [name, parameter] of loaded.parameters()) {
      const expected = await model.parameters().get(name)?.held.data();
      expect(await parameter.held.data()).toEqual(expected);
    }
    // What is loaded again lies there again; the first keeps its own.
    loaded.dispose();
    expect(mappings()).toBe(0);
  });

  it('widens what is stored in another type, and keeps no mapping of it', async () => {
    const model = tinyModel();
    await saveModel(folder, { model, dtype: 'bf16' });
    const { model: loaded } = await loadModel(folder, { device: 'native' });
    const { model: other } = await loadModel(folder, { device: 'wasm' });
    expect(mappings()).toBe(0);
    for (const [name, parameter] of loaded.parameters()) {
      const expected = await other.parameters().get(name)?.held.data();
      expect(await parameter.held.data()).toEqual(expected);
    }
  });

  it('says which file was cut short under it', async () => {
    const model = tinyModel();
    await saveModel(folder, { model });
    const { model: loaded } = await loadModel(folder, { device: 'native' });
    truncateSync(file, 0);
    const [first] = loaded.parameters().values();
    await expect(first.held.data()).rejects.toThrow(`${JSON.stringify(file)} was truncated`);
  });

  it('is refused a tensor on a device that maps no files', () => {
    const options = { dtype: 'f32' as const, shape: [1], device: device('wasm') };
    expect(() => mappedTensor(file, 0, options)).toThrow(
      'device is "wasm"; expected device native',
    );
  });
});
