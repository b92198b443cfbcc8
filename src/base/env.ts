/**
 * Every environment flag of the library is read here and nowhere else.
 *
 * TERSOR_DEBUG   0 silent; 1 compilations with sizes and times; 2 + schedule and time per kernel;
 *                3 + graphs before and after rewriting; 4 + kernel IR; 5 + code (wasm text)
 * TERSOR_DEVICE  the default device: interpret, interpret-kernels, wasm, native or cpu
 * TERSOR_FUSION  0 gives every operation its own kernel (to find a fault in fusion)
 * TERSOR_THREADS  threads of devices native and wasm (default: one for each processor)
 * TERSOR_ISA     instructions of device native: avx2, avx512, or none (device cpu is then wasm)
 * TERSOR_BF16    how device native multiplies bf16: tiles (AMX), pairs (AVX512_BF16) or f32
 * TERSOR_AMX     0: device native makes no use of AMX, whatever the type
 * TERSOR_PIN     1 binds each thread of device native to a processor of its own (for measurements)
 * TERSOR_BREADCRUMB  a file that holds the name of the kernel that device native runs (slower: one
 *                by one): what it was when a process crashed
 * TERSOR_CACHE   the folder of compiled programs, or off: none are kept (default: in the user's cache)
 * TERSOR_DATA    the folder of public data sets that experiments read
 * TERSOR_WASM    simd: no relaxed SIMD even where the engine has it
 * TERSOR_API_KEY  the key that `tersor serve` asks its clients for
 */
type Environment = Record<string, string | undefined>;

function environment(): Environment {
  const host = globalThis as { process?: { env?: Environment } };
  return host.process?.env ?? {};
}

/** The debug level, 0 to 5. */
export function debugLevel(): number {
  const level = Number(environment().TERSOR_DEBUG ?? 0);
  return Number.isFinite(level) ? level : 0;
}

/** True when the debug level is at least `level`. */
export function debugging(level: number): boolean {
  return debugLevel() >= level;
}

/** Writes debug text to standard error (the console in browsers). */
export function debug(text: string): void {
  console.error(text);
}

export function defaultDeviceName(): string | undefined {
  return environment().TERSOR_DEVICE;
}

export function fusionEnabled(): boolean {
  return environment().TERSOR_FUSION !== '0';
}

/** The wish for threads, if there is one. */
export function threadCount(): number | undefined {
  const { TERSOR_THREADS: text } = environment();
  if (text === undefined || text === '') return undefined;
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1) {
    throw new RangeError(`TERSOR_THREADS is ${text}; expected an integer >= 1`);
  }
  return count;
}

export function relaxedSimdAllowed(): boolean {
  return environment().TERSOR_WASM !== 'simd';
}

/** Sets of instructions that device native can be held to. */
export const ISAS = ['avx2', 'avx512', 'none'] as const;
export type IsaSetting = (typeof ISAS)[number];

/** The wish for instructions of device native, if there is one. */
export function isaSetting(): IsaSetting | undefined {
  const { TERSOR_ISA: text } = environment();
  if (text === undefined || text === '') return undefined;
  const isa = ISAS.find((name) => name === text);
  if (isa === undefined) {
    throw new RangeError(`TERSOR_ISA is ${text}; expected ${ISAS.join(', ')} or nothing`);
  }
  return isa;
}

/** Ways in which device native can multiply bf16. */
export const BF16_PRODUCTS = ['f32', 'pairs', 'tiles'] as const;
export type Bf16Products = (typeof BF16_PRODUCTS)[number];

/** The wish for the way in which device native multiplies bf16, if there is one. */
export function bf16Setting(): Bf16Products | undefined {
  const { TERSOR_BF16: text } = environment();
  if (text === undefined || text === '') return undefined;
  const way = BF16_PRODUCTS.find((name) => name === text);
  if (way === undefined) {
    throw new RangeError(`TERSOR_BF16 is ${text}; expected ${BF16_PRODUCTS.join(', ')} or nothing`);
  }
  return way;
}

/** Whether device native may use tiles. */
export function amxAllowed(): boolean {
  return environment().TERSOR_AMX !== '0';
}

/** Whether threads are bound to processors. */
export function pinning(): boolean {
  return environment().TERSOR_PIN === '1';
}

/** The file for the name of the kernel that runs, where there is one. */
export function breadcrumbFile(): string | undefined {
  return environment().TERSOR_BREADCRUMB || undefined;
}

/** The folder that TERSOR_CACHE names, 'off', or undefined where the user has not said. */
export function cacheSetting(): string | undefined {
  return environment().TERSOR_CACHE || undefined;
}

/** The folder of data sets, where the user has named one. */
export function dataFolder(): string | undefined {
  return environment().TERSOR_DATA || undefined;
}

/** The key for clients of the server, where there is one. */
export function apiKey(): string | undefined {
  return environment().TERSOR_API_KEY || undefined;
}
