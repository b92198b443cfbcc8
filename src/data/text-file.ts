import { readFile, stat } from 'node:fs/promises';

/**
 * Reads a UTF-8 text file; a byte order mark at its start is dropped, line ends stay as they are.
 *
 * @returns the text, never empty.
 * @throws TypeError if `path` is not a text with at least one character.
 * @throws Error if the file is missing, a folder, not a plain file, unreadable, empty, UTF-16, or
 *   not valid UTF-8 (the error names the offset of the first bad byte, counted from 0).
 */
export async function readTextFile(path: string): Promise<string> {
  if (typeof path !== 'string' || path.length === 0) {
    throw new TypeError(
      `path is ${JSON.stringify(path)}; expected the path of a text file. Pass such a path.`,
    );
  }
  const bytes = await readBytes(path);
  if (bytes.length === 0) {
    throw new Error(`file ${quote(path)} is empty; expected text. Choose a file with text in it.`);
  }
  if ((bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff)) {
    throw new Error(
      `file ${quote(path)} starts with a UTF-16 byte order mark; expected UTF-8. Save it as UTF-8.`,
    );
  }
  const bad = firstInvalidUtf8(bytes);
  if (bad !== -1) {
    const byte = (bytes[bad] as number).toString(16).toUpperCase().padStart(2, '0');
    throw new Error(
      `file ${quote(path)} is not valid UTF-8: the byte 0x${byte} at offset ${bad} begins no ` +
        'complete character. Save the file as UTF-8, or choose a text file.',
    );
  }
  const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  if (text.length === 0) {
    throw new Error(
      `file ${quote(path)} holds a byte order mark only; expected text. Choose a file with text.`,
    );
  }
  return text;
}

/**
 * The offset of the first byte that begins no complete, valid UTF-8 sequence, or -1.
 *
 * TextDecoder can only say that something is wrong; whoever has to repair a file needs to know
 * where.
 */
export function firstInvalidUtf8(bytes: Uint8Array): number {
  let offset = 0;
  while (offset < bytes.length) {
    const lead = bytes[offset] as number;
    const length = sequenceLength(lead);
    if (length === 0 || offset + length > bytes.length) {
      return offset;
    }
    for (let index = 1; index < length; index += 1) {
      const byte = bytes[offset + index] as number;
      const [low, high] = index === 1 ? secondByteRange(lead) : CONTINUATION;
      if (byte < low || byte > high) {
        return offset;
      }
    }
    offset += length;
  }
  return -1;
}

const CONTINUATION: readonly [number, number] = [0x80, 0xbf];

function sequenceLength(lead: number): number {
  if (lead < 0x80) {
    return 1;
  }
  if (lead >= 0xc2 && lead <= 0xdf) {
    return 2;
  }
  if (lead >= 0xe0 && lead <= 0xef) {
    return 3;
  }
  return lead >= 0xf0 && lead <= 0xf4 ? 4 : 0;
}

/** Excludes overlong forms, surrogates and code points above U+10FFFF. */
function secondByteRange(lead: number): readonly [number, number] {
  switch (lead) {
    case 0xe0:
      return [0xa0, 0xbf];
    case 0xed:
      return [0x80, 0x9f];
    case 0xf0:
      return [0x90, 0xbf];
    case 0xf4:
      return [0x80, 0x8f];
    default:
      return CONTINUATION;
  }
}

async function readBytes(path: string): Promise<Uint8Array> {
  try {
    const entry = await stat(path);
    if (entry.isDirectory()) {
      throw new Error(
        `path ${quote(path)} is a folder; expected a text file. Name a file inside it.`,
      );
    }
    if (!entry.isFile()) {
      throw new Error(
        `path ${quote(path)} is not a plain file; expected a text file. Save the text to a file.`,
      );
    }
    return await readFile(path);
  } catch (error) {
    throw explain(path, error);
  }
}

function explain(path: string, error: unknown): unknown {
  const code = (error as { code?: unknown }).code;
  if (typeof code !== 'string') {
    return error;
  }
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    return new Error(
      `file ${quote(path)} does not exist; expected a text file. Check the path; a relative path ` +
        'starts at the current folder.',
      { cause: error },
    );
  }
  if (code === 'EACCES' || code === 'EPERM') {
    return new Error(
      `file ${quote(path)} may not be read (${code}); expected a readable text file. Change its ` +
        'permissions or choose another file.',
      { cause: error },
    );
  }
  return new Error(
    `file ${quote(path)} could not be read (${code}); expected a readable text file. Check the ` +
      'path and the disk, or choose another file.',
    { cause: error },
  );
}

function quote(path: string): string {
  return JSON.stringify(path);
}
