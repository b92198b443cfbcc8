import { signed, unsigned } from './integers.ts';

/** A shape such as i16x8, taken apart. */
export interface Shape {
  readonly float: boolean;
  readonly bits: number;
  readonly lanes: number;
}

export function shapeOf(text: string): Shape {
  const [, kind, bits, lanes] = /^([if])(\d+)x(\d+)$/.exec(text) ?? [];
  if (kind === undefined) throw new Error(`no shape: ${text}`);
  return { float: kind === 'f', bits: Number(bits), lanes: Number(lanes) };
}

/** A little endian integer of 8 to 64 bits. */
export function readInteger(view: DataView, at: number, bits: number, sign = true): bigint {
  let value = 0n;
  for (let byte = bits / 8 - 1; byte >= 0; byte--) {
    value = (value << 8n) | BigInt(view.getUint8(at + byte));
  }
  return sign ? signed(bits, value) : value;
}

export function writeInteger(view: DataView, at: number, bits: number, value: bigint): void {
  const rest = unsigned(bits, value);
  for (let byte = 0; byte < bits / 8; byte++) {
    view.setUint8(at + byte, Number((rest >> BigInt(8 * byte)) & 0xffn));
  }
}

export const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

export function integersOf(bytes: Uint8Array, bits: number, sign = true): bigint[] {
  const view = viewOf(bytes);
  return Array.from({ length: (bytes.length * 8) / bits }, (_, index) =>
    readInteger(view, (index * bits) / 8, bits, sign),
  );
}

export function fromIntegers(bits: number, values: readonly bigint[]): Uint8Array {
  const bytes = new Uint8Array((values.length * bits) / 8);
  const view = viewOf(bytes);
  for (const [index, value] of values.entries()) {
    writeInteger(view, (index * bits) / 8, bits, value);
  }
  return bytes;
}

export function floatsOf(bytes: Uint8Array, bits: number): number[] {
  const view = viewOf(bytes);
  return Array.from({ length: 128 / bits }, (_, index) =>
    bits === 32 ? view.getFloat32(4 * index, true) : view.getFloat64(8 * index, true),
  );
}

/** Fills the vector with zero lanes where there are too few values. */
export function fromFloats(bits: number, values: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(16);
  const view = viewOf(bytes);
  for (const [index, value] of values.entries()) {
    if (bits === 32) view.setFloat32(4 * index, value, true);
    else view.setFloat64(8 * index, value, true);
  }
  return bytes;
}
