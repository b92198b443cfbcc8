import { crc32c } from './crc32c.ts';

/** Numbers by tag, at a step. */
export interface ScalarEvent {
  /** Seconds since 1970. */
  readonly wallTime: number;
  readonly step: number;
  readonly scalars: Readonly<Record<string, number>>;
}

/** The first record of an event file: which version of the format follows. */
export function versionRecord(wallTime: number): Uint8Array {
  return record(concat([doubleField(1, wallTime), textField(3, 'brain.Event:2')]));
}

/**
 * Scalars as a record of a TensorBoard event file: a TFRecord that holds an `Event` message with a
 * `Summary` of one `Value` (tag, simple_value) for each.
 *
 * @see https://github.com/tensorflow/tensorboard/blob/master/tensorboard/compat/proto/event.proto
 */
export function scalarRecord({ wallTime, step, scalars }: ScalarEvent): Uint8Array {
  const values = Object.entries(scalars).map(([tag, value]) => {
    return bytesField(1, concat([textField(1, tag), floatField(2, value)]));
  });
  const fields = [doubleField(1, wallTime), integerField(2, step), bytesField(5, concat(values))];
  return record(concat(fields));
}

/** Length, checksum of the length, data, checksum of the data; little endian. */
function record(data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(16 + data.length);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(data.length), true);
  view.setUint32(8, masked(bytes.subarray(0, 8)), true);
  bytes.set(data, 12);
  view.setUint32(12 + data.length, masked(data), true);
  return bytes;
}

/** A checksum of data that holds checksums is weak: the format rotates it and adds a constant. */
function masked(data: Uint8Array): number {
  const crc = crc32c(data);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

/** The wire types of protocol buffers. */
const VARINT = 0;
const FIXED64 = 1;
const LENGTH = 2;
const FIXED32 = 5;

function varint(value: number): number[] {
  const bytes: number[] = [];
  for (; value >= 0x80; value = Math.floor(value / 0x80)) bytes.push((value % 0x80) | 0x80);
  bytes.push(value);
  return bytes;
}

function integerField(field: number, value: number): Uint8Array {
  return Uint8Array.from([...varint(field * 8 + VARINT), ...varint(value)]);
}

function doubleField(field: number, value: number): Uint8Array {
  const data = new DataView(new ArrayBuffer(8));
  data.setFloat64(0, value, true);
  return concat([Uint8Array.from(varint(field * 8 + FIXED64)), new Uint8Array(data.buffer)]);
}

function floatField(field: number, value: number): Uint8Array {
  const data = new DataView(new ArrayBuffer(4));
  data.setFloat32(0, value, true);
  return concat([Uint8Array.from(varint(field * 8 + FIXED32)), new Uint8Array(data.buffer)]);
}

function bytesField(field: number, value: Uint8Array): Uint8Array {
  return concat([Uint8Array.from([...varint(field * 8 + LENGTH), ...varint(value.length)]), value]);
}

function textField(field: number, value: string): Uint8Array {
  return bytesField(field, new TextEncoder().encode(value));
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((n, { length }) => n + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
