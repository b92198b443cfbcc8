import { fs } from './host.ts';
import type { Call } from './steps.ts';

/** Bytes of the file: names are short, and each must cover the one before. */
const LENGTH = 256;

/**
 * A file that says which kernel runs. What was written stays when the process crashes, because the
 * system holds it, not the process.
 */
export class Breadcrumb {
  readonly #fd: number;

  /** @throws Error where the file cannot be written */
  constructor(path: string) {
    this.#fd = fs().openSync(path, 'w');
  }

  /** Says what is about to run. */
  before({ name, kernel, label }: Call): void {
    this.#write(`${name} (kernel ${kernel}): ${label}`);
  }

  /** Says that nothing runs. */
  clear(): void {
    this.#write('');
  }

  #write(text: string): void {
    const bytes = new TextEncoder().encode(text).subarray(0, LENGTH - 1);
    const line = new Uint8Array(LENGTH).fill(0x20);
    line.set(bytes);
    line[LENGTH - 1] = 0x0a;
    fs().writeSync(this.#fd, line, 0, LENGTH, 0);
  }

  close(): void {
    fs().closeSync(this.#fd);
  }
}

/** What a breadcrumb file says: the last kernel, or undefined where none was running. */
export function readBreadcrumb(path: string): string | undefined {
  return fs().readFileSync(path, 'utf8').trim() || undefined;
}
