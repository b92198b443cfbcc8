import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cacheSetting } from '../base/env.ts';
import { type ProgramStore, setProgramStore } from '../compile/store.ts';
import { ProgramCache } from './program-cache.ts';
import { crypto } from './slow-modules.ts';

/** What compiled programs depend on: the rooms below the compiler, itself, and the devices. */
const COMPILER_ROOMS = ['base', 'ir', 'asm', 'device', 'compile'];

/** Version and hash of the compiler's sources, which the build puts in here; undefined in src/. */
declare const TERSOR_COMPILER: string | undefined;

/**
 * Keeps compiled programs on disk, so that the next process need not compile them again: in the
 * folder that the environment variable TERSOR_CACHE names, else in `tersor` in the user's cache
 * folder (XDG_CACHE_HOME, or the system's place). TERSOR_CACHE=off keeps none. `import 'tersor'`
 * does this; a program that imports only parts of the library may call it itself.
 */
export function useProgramCache(): void {
  const setting = cacheSetting();
  setProgramStore(setting === 'off' ? undefined : onFirstUse(() => open(setting)));
}

/** Reading the compiler's own files takes milliseconds: only a process that compiles spends them. */
function onFirstUse(make: () => ProgramStore | undefined): ProgramStore {
  let made: { readonly store: ProgramStore | undefined } | undefined;
  const store = () => {
    made ??= { store: make() };
    return made.store;
  };
  return {
    read: (key) => store()?.read(key),
    write: (key, value) => store()?.write(key, value),
  };
}

function open(setting: string | undefined): ProgramStore | undefined {
  const compiler = typeof TERSOR_COMPILER === 'string' ? TERSOR_COMPILER : compilerFingerprint();
  if (!compiler) return undefined;
  return new ProgramCache(setting ?? join(userCacheFolder(), 'tersor'), { compiler });
}

/** The user's folder for what can be made again. */
function userCacheFolder(): string {
  const { XDG_CACHE_HOME, LOCALAPPDATA } = process.env;
  if (XDG_CACHE_HOME) return XDG_CACHE_HOME;
  if (process.platform === 'win32') return LOCALAPPDATA || join(homedir(), 'AppData', 'Local');
  if (process.platform === 'darwin') return join(homedir(), 'Library', 'Caches');
  return join(homedir(), '.cache');
}

/**
 * Version and hash of the compiler's own files, so that changed code never runs old programs.
 * Undefined, and then nothing is kept, where a compiler cannot tell itself from another: as part of
 * a foreign bundle its files do not lie in their folders; and files that were changed after the
 * process began are not those that it runs.
 *
 * @param root the folder of the rooms
 * @param began when the process began, in milliseconds since 1970
 */
export function compilerFingerprint(
  root = fileURLToPath(new URL('..', import.meta.url)),
  began = performance.timeOrigin,
): string | undefined {
  if (!COMPILER_ROOMS.every((room) => existsSync(join(root, room)))) return undefined;
  const files = COMPILER_ROOMS.flatMap((room) =>
    readdirSync(join(root, room), { recursive: true, encoding: 'utf8' })
      .filter(isCode)
      .sort()
      .map((name) => join(room, name)),
  );
  const hash = crypto().createHash('sha256');
  for (const file of files) {
    const path = join(root, file);
    if (statSync(path).mtimeMs > began) return undefined;
    hash.update(`${file}\n`).update(readFileSync(path));
  }
  return `tersor ${packageVersion(root)} ${hash.digest('hex')}`;
}

function isCode(name: string): boolean {
  return /\.[jt]s$/.test(name) && !name.endsWith('.d.ts');
}

function packageVersion(root: string): string {
  const manifest = readFileSync(join(root, '..', 'package.json'), 'utf8');
  return (JSON.parse(manifest) as { version: string }).version;
}
