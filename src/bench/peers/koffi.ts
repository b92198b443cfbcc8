import { createRequire } from 'node:module';

/** A C function; structures go in and out as objects of their fields. */
export type Native = (...values: unknown[]) => unknown;

export interface NativeLibrary {
  func(declaration: string): Native;
}

/** The little of koffi's interface that peers need. */
export interface Koffi {
  load(path: string): NativeLibrary;
  struct(name: string, fields: Readonly<Record<string, unknown>>): unknown;
  array(type: string, length: number): unknown;
  alloc(type: string, count: number): unknown;
  encode(pointer: unknown, type: unknown, value: unknown): void;
  decode(pointer: unknown, type: unknown): unknown;
}

/** Koffi, or undefined where it is not installed: it is there for development only. */
export function koffi(): Koffi | undefined {
  try {
    return createRequire(import.meta.url)('koffi') as Koffi;
  } catch {
    return undefined;
  }
}
