import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { folderSource } from '../../src/io/files.ts';
import {
  fetchSource,
  memorySource,
  openCheckpoint,
  readSafetensors,
  type StoredTensor,
  writeCheckpoint,
  writeSafetensors,
} from '../../src/io/index.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tersor-checkpoint-'));
  return () => rmSync(folder, { recursive: true, force: true });
});

const TENSORS = new Map<string, StoredTensor>([
  ['a', { dtype: 'f32', shape: [3, 2], data: Float32Array.of(1, 2, 3, 4, 5, 6) }],
  ['b', { dtype: 'bf16', shape: [2], data: Uint16Array.of(7, 8) }],
  ['c', { dtype: 'f8e4m3', shape: [4], data: Uint8Array.of(9, 10, 11, 12) }],
  ['d', { dtype: 'f8e5m2', shape: [0], data: new Uint8Array(0) }],
  ['e', { dtype: 'f16', shape: [], data: Uint16Array.of(13) }],
]);

const write = (tensors: ReadonlyMap<string, StoredTensor>, maxShardBytes?: number) =>
  writeCheckpoint(
    folder,
    new Map([...tensors].map(([name, t]) => [name, { ...t, data: async () => t.data }])),
    maxShardBytes === undefined ? {} : { maxShardBytes },
  );

async function readAll(source: Parameters<typeof openCheckpoint>[0]) {
  const checkpoint = await openCheckpoint(source);
  const found = new Map<string, StoredTensor>();
  for (const name of checkpoint.entries.keys()) found.set(name, await checkpoint.read(name));
  await checkpoint.close();
  return found;
}

describe('shards', () => {
  test('of any size hold what one file holds', async () => {
    const any = fc.dictionary(
      fc.string({ minLength: 1 }).filter((s) => s !== '__proto__' && s !== '__metadata__'),
      fc.uint8Array({ maxLength: 20 }),
      { noNullPrototype: true, minKeys: 1 },
    );
    await fc.assert(
      fc.asyncProperty(any, fc.integer({ min: 1, max: 60 }), async (given, most) => {
        const tensors = new Map<string, StoredTensor>(
          Object.entries(given).map(([name, data]) => [
            name,
            { dtype: 'u8', shape: [data.length], data },
          ]),
        );
        await write(tensors, most);
        expect(await readAll(folderSource(folder))).toEqual(tensors);
      }),
      { numRuns: 20 },
    );
  });

  test('are as large as they may be', async () => {
    await write(TENSORS, 28);
    const index = JSON.parse(readFileSync(join(folder, 'model.safetensors.index.json'), 'utf8'));
    expect(index).toEqual({
      metadata: { total_parameters: 13, total_size: 34 },
      weight_map: {
        a: 'model-00001-of-00002.safetensors',
        b: 'model-00001-of-00002.safetensors',
        c: 'model-00002-of-00002.safetensors',
        d: 'model-00002-of-00002.safetensors',
        e: 'model-00002-of-00002.safetensors',
      },
    });
    const { metadata } = await readSafetensors(join(folder, 'model-00001-of-00002.safetensors'));
    expect(metadata).toEqual({ format: 'pt' });
    await expect(write(TENSORS, 0)).rejects.toThrow('maxShardBytes is 0; expected more than 0');
  });

  test('that are not as the index says are named', async () => {
    await write(TENSORS, 28);
    const index = (map: unknown) =>
      writeFileSync(
        join(folder, 'model.safetensors.index.json'),
        JSON.stringify({ weight_map: map }),
      );
    const open = () => openCheckpoint(folderSource(folder));
    const first = 'model-00001-of-00002.safetensors';
    index({ a: first, c: first });
    await expect(open()).rejects.toThrow(
      `${JSON.stringify(join(folder, first))} has no tensor c; model.safetensors.index.json says`,
    );
    index({ a: 'other.safetensors' });
    await expect(open()).rejects.toThrow('other.safetensors" does not exist; model.safetensors');
    index({ a: '../other.safetensors' });
    await expect(open()).rejects.toThrow('expected a name ending in .safetensors in the same');
    index([]);
    await expect(open()).rejects.toThrow('has no weight_map; expected an object');
    await writeSafetensors(
      join(folder, 'two.safetensors'),
      new Map([['a', TENSORS.get('a') as StoredTensor]]),
    );
    index({ a: first, 'a ': 'two.safetensors' });
    await expect(open()).rejects.toThrow('two.safetensors" has no tensor a ');
    writeFileSync(join(folder, first), 'damaged');
    index({ a: first });
    await expect(open()).rejects.toThrow(`${first}" could not be read: not a valid safetensors`);
  });

  test('may not hold a tensor twice', async () => {
    const one = new Map([...TENSORS].slice(0, 1));
    await writeSafetensors(join(folder, 'x.safetensors'), one);
    await writeSafetensors(join(folder, 'y.safetensors'), TENSORS);
    writeFileSync(
      join(folder, 'model.safetensors.index.json'),
      JSON.stringify({ weight_map: { a: 'x.safetensors', b: 'y.safetensors' } }),
    );
    await expect(openCheckpoint(folderSource(folder))).rejects.toThrow(
      'y.safetensors" could not be read: it holds a, as x.safetensors does',
    );
  });
});

describe('other places', () => {
  const requests: (string | undefined)[] = [];
  let knowsRanges = true;
  let origin = '';
  const server = createServer((request, response) => {
    const { range } = request.headers;
    requests.push(range);
    let body: Buffer;
    try {
      body = readFileSync(join(folder, decodeURIComponent(request.url ?? '')));
    } catch {
      response.writeHead(404).end();
      return;
    }
    const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(range ?? '') ?? [];
    if (from === undefined || !knowsRanges) {
      response.writeHead(200).end(body);
      return;
    }
    const piece = body.subarray(Number(from), Number(to) + 1);
    const place = `bytes ${from}-${Number(from) + piece.length - 1}/${body.length}`;
    response.writeHead(206, { 'content-range': place }).end(piece);
  });
  beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => new Promise((resolve) => server.close(resolve)));

  test('memory', async () => {
    await write(TENSORS);
    const bytes = readFileSync(join(folder, 'model.safetensors'));
    const { buffer } = new Uint8Array(bytes);
    for (const content of [bytes, buffer]) {
      expect(await readAll(memorySource(new Map([['model.safetensors', content]])))).toEqual(
        TENSORS,
      );
    }
    await expect(readAll(memorySource(new Map()))).rejects.toThrow('"model.safetensors" does not');
    const cut = memorySource(new Map([['model.safetensors', bytes.subarray(0, -1)]]));
    await expect(readAll(cut)).rejects.toThrow('its tensors take');
  });

  test('the web: one request a file', async () => {
    await write(TENSORS, 28);
    requests.length = 0;
    expect(await readAll(fetchSource(origin))).toEqual(TENSORS);
    // The whole that is not there, the index, two shards.
    expect(requests).toEqual([undefined, undefined, undefined, undefined]);
  });

  test('the web, by ranges: one request an array', async () => {
    await write(TENSORS);
    requests.length = 0;
    expect(await readAll(fetchSource(new URL(origin), { ranges: true }))).toEqual(TENSORS);
    expect(requests.every((range) => range !== undefined)).toBe(true);
    // The size; length and text of the header; the arrays, of which one is empty.
    expect(requests).toHaveLength(1 + 2 + TENSORS.size - 1);
    knowsRanges = false;
    expect(await readAll(fetchSource(origin, { ranges: true }))).toEqual(TENSORS);
    knowsRanges = true;
  });

  test('the web: what is wrong is told with the address', async () => {
    await expect(readAll(fetchSource(`${origin}/none/`))).rejects.toThrow(
      `"${origin}/none/model.safetensors" does not exist`,
    );
    writeFileSync(join(folder, 'model.safetensors'), 'x');
    await expect(readAll(fetchSource(origin))).rejects.toThrow(
      `"${origin}/model.safetensors" could not be read: not a valid`,
    );
  });
});
