import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { parseIdx, readIdx } from '../../src/data/idx.ts';
import { idxFile } from '../support/idx-file.ts';

describe('idx files', () => {
  test('are read, packed or not', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tersor-idx-'));
    try {
      const file = idxFile([2, 3], [1, 2, 3, 4, 5, 255]);
      for (const [name, bytes] of Object.entries({ plain: file, packed: gzipSync(file) })) {
        await writeFile(join(folder, name), bytes);
        const { shape, data } = await readIdx(join(folder, name));
        expect(shape).toEqual([2, 3]);
        expect([...data]).toEqual([1, 2, 3, 4, 5, 255]);
      }
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test.each([
    [Uint8Array.of(0, 0, 8), 'x: 3 bytes; expected a header of at least 4'],
    [Uint8Array.of(80, 75, 8, 1), 'x: starts with 80, 75; expected 0, 0'],
    [Uint8Array.of(0, 0, 0x0d, 1), 'x: type 0xd; expected 0x8'],
    [Uint8Array.of(0, 0, 8, 2, 0, 0), 'x: 6 bytes; expected sizes of 2 axes'],
    [idxFile([2, 2], [1, 2, 3]), 'x: 3 bytes of data; expected 4 (2 x 2)'],
  ])('that are none are refused (%#)', (bytes, message) => {
    expect(() => parseIdx('x', bytes)).toThrow(message);
  });
});
