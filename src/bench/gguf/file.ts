import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

/** A value of a GGUF file's head, with the type that it is written in. */
export type Field =
  | { readonly type: 'u32' | 'i32' | 'f32'; readonly value: number }
  | { readonly type: 'string'; readonly value: string }
  | { readonly type: 'strings'; readonly value: readonly string[] }
  | { readonly type: 'i32s' | 'f32s'; readonly value: readonly number[] };

/** How numbers of a tensor are stored. */
export type TensorType = 'F32' | 'Q4_0' | 'Q8_0';

export interface TensorInfo {
  readonly name: string;
  /** The axis whose elements lie side by side comes last. */
  readonly shape: readonly number[];
  readonly type: TensorType;
  /** Bytes of the tensor, in order, in pieces of any length; asked for once. */
  readonly pieces: () => Iterable<Uint8Array>;
}

interface Storage {
  readonly code: number;
  /** Elements that are stored together, and their bytes. */
  readonly block: number;
  readonly bytes: number;
}

const STORAGE: { readonly [T in TensorType]: Storage } = {
  F32: { code: 0, block: 1, bytes: 4 },
  Q4_0: { code: 2, block: 32, bytes: 18 },
  Q8_0: { code: 8, block: 32, bytes: 34 },
};

/** Codes of the types of values in the head. */
const CODE = { u32: 4, i32: 5, f32: 6, string: 8, array: 9 };
const ALIGNMENT = 32;
const VERSION = 3;

/** Bytes that a tensor takes in the file. */
export function tensorBytes({ shape, type }: Pick<TensorInfo, 'shape' | 'type'>): number {
  const { block, bytes } = STORAGE[type];
  return (shape.reduce((a, b) => a * b, 1) / block) * bytes;
}

/** The bytes of the head as they grow. */
class Head {
  readonly #parts: Buffer[] = [];

  number(write: 'u32' | 'i32' | 'f32' | 'u64', value: number): this {
    const bytes = Buffer.alloc(write === 'u64' ? 8 : 4);
    if (write === 'u32') bytes.writeUInt32LE(value);
    else if (write === 'i32') bytes.writeInt32LE(value);
    else if (write === 'f32') bytes.writeFloatLE(value);
    else bytes.writeBigUInt64LE(BigInt(value));
    this.#parts.push(bytes);
    return this;
  }

  text(value: string): this {
    const bytes = Buffer.from(value, 'utf8');
    this.number('u64', bytes.length).#parts.push(bytes);
    return this;
  }

  field(field: Field): this {
    switch (field.type) {
      case 'u32':
      case 'i32':
      case 'f32':
        return this.number('u32', CODE[field.type]).number(field.type, field.value);
      case 'string':
        return this.number('u32', CODE.string).text(field.value);
      case 'strings':
        this.#array(CODE.string, field.value.length);
        for (const value of field.value) this.text(value);
        return this;
      case 'i32s':
      case 'f32s': {
        const kind = field.type === 'i32s' ? 'i32' : 'f32';
        this.#array(CODE[kind], field.value.length);
        for (const value of field.value) this.number(kind, value);
        return this;
      }
    }
  }

  #array(code: number, count: number): void {
    this.number('u32', CODE.array).number('u32', code).number('u64', count);
  }

  /** Everything, filled up to the alignment of the data that follows. */
  bytes(): Buffer {
    const all = Buffer.concat(this.#parts);
    return Buffer.concat([all, Buffer.alloc(padding(all.length))]);
  }
}

function padding(length: number): number {
  return (ALIGNMENT - (length % ALIGNMENT)) % ALIGNMENT;
}

function headOf(fields: ReadonlyMap<string, Field>, tensors: readonly TensorInfo[]): Buffer {
  const head = new Head();
  head.number('u32', Buffer.from('GGUF').readUInt32LE()).number('u32', VERSION);
  head.number('u64', tensors.length).number('u64', fields.size);
  for (const [name, field] of fields) head.text(name).field(field);
  let offset = 0;
  for (const tensor of tensors) {
    // GGUF counts axes from the innermost on.
    head.text(tensor.name).number('u32', tensor.shape.length);
    for (const size of tensor.shape.toReversed()) head.number('u64', size);
    head.number('u32', STORAGE[tensor.type].code).number('u64', offset);
    offset += tensorBytes(tensor);
    offset += padding(offset);
  }
  return head.bytes();
}

/**
 * Writes a GGUF file, tensor by tensor: no more than a piece of one is in memory. The file has its
 * name only when it is whole.
 *
 * @throws Error for a tensor whose pieces are not as many bytes as its shape and type say
 */
export async function writeGguf(
  path: string,
  fields: ReadonlyMap<string, Field>,
  tensors: readonly TensorInfo[],
): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const unfinished = `${path}.${process.pid}.part`;
  const file = await open(unfinished, 'w');
  try {
    await file.writeFile(headOf(fields, tensors));
    for (const tensor of tensors) await writeTensor(file, tensor);
    await file.close();
    await rename(unfinished, path);
  } catch (error) {
    await file.close().catch(() => undefined);
    await rm(unfinished, { force: true });
    throw error;
  }
}

async function writeTensor(file: FileHandle, tensor: TensorInfo): Promise<void> {
  const expected = tensorBytes(tensor);
  let written = 0;
  for (const piece of tensor.pieces()) {
    await file.writeFile(piece);
    written += piece.length;
  }
  if (written !== expected) {
    throw new Error(`writeGguf: ${tensor.name} has ${written} bytes; expected ${expected}`);
  }
  await file.writeFile(Buffer.alloc(padding(written)));
}
