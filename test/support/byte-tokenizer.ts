import type { Tokenizer } from '../../src/io/index.ts';

export const BOS = 256;
export const EOS = 257;

/** Bytes as ids, with a begin token and an end token where they are wanted. */
export function byteTokenizer({ bos = false, eos = false } = {}): Tokenizer {
  const encoder = new TextEncoder();
  const decode = (ids: ArrayLike<number>) =>
    new TextDecoder().decode(Uint8Array.from(Array.from(ids).filter((id) => id < 256)));
  return {
    size: eos ? 258 : 257,
    bosId: bos ? BOS : undefined,
    eosIds: eos ? [EOS] : [],
    hasChat: false,
    encode: (text, { addSpecial = false } = {}) =>
      Int32Array.from([...(addSpecial && bos ? [BOS] : []), ...encoder.encode(text)]),
    decode,
    bytesOf: (id) => (id < 256 ? Uint8Array.of(id) : new Uint8Array(0)),
    idOf: (token) => (token.length === 1 ? token.charCodeAt(0) : undefined),
    tokenOf: (id) => String.fromCharCode(id),
    isSpecial: (id) => id >= 256,
    renderChat: () => {
      throw new Error('there is no template');
    },
    encodeChat: () => {
      throw new Error('there is no template');
    },
    files: () => new Map(),
  };
}
