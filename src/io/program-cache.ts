import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { debug, debugging } from '../base/env.ts';
import type { ProgramStore } from '../compile/index.ts';
import { entryName, openEntry, sealEntry } from './program-entry.ts';
import { crypto } from './slow-modules.ts';

/** Bytes of all programs kept together. */
const LIMIT_BYTES = 256 * 2 ** 20;
/** Beyond the limit the least recently used files go until this share of it is left. */
const SHARE_LEFT = 0.75;
const SUFFIX = '.program';
const TEMPORARY = '.tmp';
/** A temporary file of this age belongs to no process that still writes it. */
const ABANDONED_MS = 3600_000;

export interface ProgramCacheOptions {
  /** Bytes that the files may take together (default 256 MiB). */
  readonly limitBytes?: number;
  /** Part of every key: programs of other compilers are not found. */
  readonly compiler: string;
}

/**
 * Compiled programs as files of a folder, one each, named by the hash of its key. Several processes
 * may share a folder: a file appears whole or not at all, and one that is damaged counts as missing.
 * Where the folder cannot be written, nothing is kept.
 */
export class ProgramCache implements ProgramStore {
  readonly folder: string;
  readonly #limit: number;
  readonly #compiler: string;
  /** Bytes in the folder as far as this process knows; undefined until it has looked. */
  #bytes: number | undefined;
  #writable = true;

  constructor(folder: string, { limitBytes = LIMIT_BYTES, compiler }: ProgramCacheOptions) {
    this.folder = folder;
    this.#limit = limitBytes;
    this.#compiler = compiler;
  }

  read(key: string): Uint8Array<ArrayBuffer> | undefined {
    const full = this.#fullKey(key);
    const path = this.#pathOf(full);
    try {
      const value = openEntry(readFileSync(path), full);
      if (value) markUsed(path);
      return value;
    } catch {
      return undefined;
    }
  }

  write(key: string, value: Uint8Array): void {
    if (!this.#writable) return;
    const full = this.#fullKey(key);
    const path = this.#pathOf(full);
    const temporary = `${path}.${crypto().randomBytes(6).toString('hex')}${TEMPORARY}`;
    try {
      mkdirSync(this.folder, { recursive: true, mode: 0o700 });
      const entry = sealEntry(full, value);
      // Not forced to the disk: a file that a power failure leaves damaged is one to make anew.
      writeFileSync(temporary, entry, { flag: 'wx' });
      renameSync(temporary, path);
      this.#bytes = (this.#bytes ?? this.#scan().bytes) + entry.length;
      if (this.#bytes > this.#limit) this.#evict();
    } catch (error) {
      this.#writable = false;
      removeIfPossible(temporary);
      if (debugging(1)) debug(`compiled programs are not kept: ${(error as Error).message}`);
    }
  }

  #fullKey(key: string): string {
    return `${this.#compiler}\n${key}`;
  }

  #pathOf(fullKey: string): string {
    return join(this.folder, entryName(fullKey) + SUFFIX);
  }

  /** The files of the folder; what crashed processes left half-written goes. */
  #scan() {
    const files: { path: string; bytes: number; used: number }[] = [];
    for (const name of readdirSync(this.folder)) {
      const path = join(this.folder, name);
      const facts = statSync(path, { throwIfNoEntry: false });
      if (!facts) continue;
      if (name.endsWith(SUFFIX)) files.push({ path, bytes: facts.size, used: facts.mtimeMs });
      const abandoned = Date.now() - facts.mtimeMs > ABANDONED_MS;
      if (name.endsWith(TEMPORARY) && abandoned) removeIfPossible(path);
    }
    return { files, bytes: files.reduce((sum, file) => sum + file.bytes, 0) };
  }

  /** Other processes write and remove, too: what counts is what lies in the folder now. */
  #evict(): void {
    let { files, bytes } = this.#scan();
    if (bytes > this.#limit) {
      files = files.sort((a, b) => a.used - b.used);
      for (const file of files) {
        if (bytes <= this.#limit * SHARE_LEFT) break;
        removeIfPossible(file.path);
        bytes -= file.bytes;
      }
    }
    this.#bytes = bytes;
  }
}

function markUsed(path: string): void {
  try {
    const now = new Date();
    utimesSync(path, now, now);
  } catch {
    // In a folder that is only readable nothing is ever removed: the time of use means nothing.
  }
}

/** Another process may have been faster, or may hold the file open. */
function removeIfPossible(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // Whoever looks through the folder next will try again.
  }
}
