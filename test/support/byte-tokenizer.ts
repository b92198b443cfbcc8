import type { Tokenizer } from '../../src/io/index.ts';

/** Bytes as ids, with a begin token (256) where one is wanted: enough for what only needs ids. */
export function byteTokenizer({ bos = false } = {}): Tokenizer {
  const encoder = new TextEncoder();
  const decode = (ids: ArrayLike<number>) =>
    new TextDecoder().decode(Uint8Array.from(Array.from(ids).filter((id) => id < 256)));
  return {
    size: 257,
    bosId: bos ? 256 : undefined,
    eosIds: [],
    hasChat: false,
    encode: (text, { addSpecial = false } = {}) =>
      Int32Array.from([...(addSpecial && bos ? [256] : []), ...encoder.encode(text)]),
    decode,
    bytesOf: (id) => (id < 256 ? Uint8Array.of(id) : new Uint8Array(0)),
    idOf: (token) => (token.length === 1 ? token.charCodeAt(0) : undefined),
    tokenOf: (id) => String.fromCharCode(id),
    isSpecial: (id) => id === 256,
    renderChat: () => {
      throw new Error('there is no template');
    },
    encodeChat: () => {
      throw new Error('there is no template');
    },
    files: () => new Map(),
  };
}
