import type { BufferNode } from '../ir/graph/build.ts';
import { graphKey } from '../ir/graph/print.ts';
import type { Node } from '../ir/graph/types.ts';
import type { Code, Target } from '../ir/program.ts';
import { formatShape } from '../ir/shape.ts';
import type { ResolvedOptions } from './program.ts';

/**
 * Where compiled programs are kept from one process to the next. The compiler reaches no files: the
 * entry of the library puts a store in where the platform has one.
 */
export interface ProgramStore {
  /** What was written under exactly this key, whole, or undefined. Never throws. */
  read(key: string): Uint8Array<ArrayBuffer> | undefined;
  /** Keeps a value if it can. Never throws. */
  write(key: string, value: Uint8Array): void;
}

let store: ProgramStore | undefined;

/** Puts a store in, or none. */
export function setProgramStore(next: ProgramStore | undefined): void {
  store = next;
}

export function programStore(): ProgramStore | undefined {
  return store;
}

/** Code that is bytes, and what a device must know of it. */
export type MachineCode = Code & { readonly kind: 'wasm' | 'x64' };

/** All that the code of a graph depends on, but for the compiler itself, as text. */
export function programKey(
  target: Target,
  outputs: readonly Node[],
  inputs: readonly BufferNode[],
  { fuse, templates, tiles, kernelTarget, threads, donations }: ResolvedOptions,
): string {
  // A graph may leave inputs unused; their number still counts, since they are bound by position.
  const types = inputs.map((node) => `${node.dtype}${formatShape(node.shape)}`);
  const choices = { fuse, templates, tiles, kernelTarget, threads };
  const settings = { target, ...choices, donations: [...donations] };
  return `${JSON.stringify(settings)}\n${types.join(' ')}\n${graphKey(outputs, inputs)}`;
}

/** Length of the facts (u32), the facts as JSON, the code. */
export function encodeProgram({ bytes, ...facts }: MachineCode): Uint8Array {
  const text = new TextEncoder().encode(JSON.stringify(facts));
  const out = new Uint8Array(4 + text.length + bytes.length);
  new DataView(out.buffer).setUint32(0, text.length, true);
  out.set(text, 4);
  out.set(bytes, 4 + text.length);
  return out;
}

export function decodeProgram(value: Uint8Array<ArrayBuffer>): MachineCode {
  const end = 4 + new DataView(value.buffer, value.byteOffset).getUint32(0, true);
  const text = new TextDecoder().decode(value.subarray(4, end));
  const facts = JSON.parse(text) as Omit<MachineCode, 'bytes'>;
  return { ...facts, bytes: value.subarray(end) } as MachineCode;
}
