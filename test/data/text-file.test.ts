import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { firstInvalidUtf8, readTextFile } from '../../src/data/text-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'text-file-'));
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, content: string | number[]): string {
  const path = join(folder, name);
  writeFileSync(path, typeof content === 'string' ? content : Uint8Array.from(content));
  return path;
}

describe('readTextFile', () => {
  test('reads UTF-8 and keeps line ends', async () => {
    expect(await readTextFile(file('plain', 'caf\u00e9\r\n\u{1f600}\n'))).toBe(
      'caf\u00e9\r\n\u{1f600}\n',
    );
  });

  test('drops a byte order mark', async () => {
    expect(await readTextFile(file('mark', '\ufeffab'))).toBe('ab');
  });

  test.each([
    ['empty', [], /is empty; expected text/],
    ['mark only', [0xef, 0xbb, 0xbf], /byte order mark only/],
    ['utf-16', [0xff, 0xfe, 0x61, 0x00], /UTF-16 byte order mark; expected UTF-8/],
    ['latin-1', [0x63, 0x61, 0x66, 0xe9, 0x0a], /not valid UTF-8: the byte 0xE9 at offset 3/],
    ['cut off', [0x61, 0xf0, 0x9f, 0x98], /the byte 0xF0 at offset 1/],
  ])('explains a file that is %s', async (name, bytes, message) => {
    await expect(readTextFile(file(name, bytes))).rejects.toThrow(message);
  });

  test('explains a path that is missing, below a file, a folder or no path', async () => {
    await expect(readTextFile(join(folder, 'none'))).rejects.toThrow(
      /does not exist.*Check the path/,
    );
    await expect(readTextFile(join(file('leaf', 'a'), 'b'))).rejects.toThrow(/does not exist/);
    await expect(readTextFile(folder)).rejects.toThrow(/is a folder; expected a text file/);
    await expect(readTextFile('')).rejects.toThrow(/path is ""; expected the path/);
  });

  test('explains other failures by their code', async () => {
    await expect(readTextFile(join(folder, 'x'.repeat(5000)))).rejects.toThrow(/ENAMETOOLONG/);
  });

  test.skipIf(process.platform === 'win32')('refuses what is not a plain file', async () => {
    const pipe = join(folder, 'pipe');
    execFileSync('mkfifo', [pipe]);
    await expect(readTextFile(pipe)).rejects.toThrow(/is not a plain file/);
  });

  test.skipIf(process.platform === 'win32' || process.getuid?.() === 0)(
    'explains a file that may not be read',
    async () => {
      const path = file('locked', 'a');
      chmodSync(path, 0);
      await expect(readTextFile(path)).rejects.toThrow(/may not be read \(EACCES\)/);
    },
  );
});

describe('firstInvalidUtf8', () => {
  test('agrees with the decoder of the platform', () => {
    const byte = fc.oneof(
      fc.constantFrom(0x41, 0x80, 0x9f, 0xa0, 0xbf, 0xc1, 0xc2, 0xe0, 0xed, 0xf0, 0xf4, 0xf5),
      fc.integer({ min: 0, max: 255 }),
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 8 }), fc.array(byte), (left, right) => {
        const bytes = Uint8Array.from([...left, ...right]);
        const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
        const offset = firstInvalidUtf8(bytes);
        if (offset === -1) {
          expect(() => decoder.decode(bytes)).not.toThrow();
        } else {
          expect(() => decoder.decode(bytes)).toThrow();
          expect(() => decoder.decode(bytes.subarray(0, offset))).not.toThrow();
        }
      }),
      { numRuns: 2000 },
    );
  });
});
