import { amxAllowed, type Bf16Products, bf16Setting, type IsaSetting } from '../../base/env.ts';
import type { Target } from '../../ir/program.ts';
import { countProcessors, defaultThreads, processorQuota } from './cgroup.ts';
import { CodeMemory } from './code-memory.ts';
import { CPUID_WORDS, cpuidCode, decodeFeatures, type X64Features } from './cpu.ts';
import { nodeProcess, os, textOf } from './host.ts';
import { loadKoffi, PAGE } from './libc.ts';
import { Runtime } from './runtime.ts';
import { mapPages, openSystem, type System } from './system.ts';

export type Isa = 'avx2' | 'avx512';

/** What this machine gives device native, or why it does not. */
export interface NativeMachine {
  /** The best that processor and system have. */
  readonly isa: Isa;
  readonly features: X64Features;
  /** Threads by default. */
  readonly threads: number;
}

export type NativeSupport = NativeMachine | { readonly reason: string };

type Found = (NativeMachine & { readonly runtime: Runtime }) | { readonly reason: string };

let found: Found | undefined;

/** Whether device native can be had here; looked at once. Never throws. */
export function nativeSupport(): NativeSupport {
  const support = examine();
  if ('reason' in support) return support;
  const { isa, features, threads } = support;
  return { isa, features, threads };
}

/** @throws Error with the reason where there is no support */
export function nativeRuntime(): Runtime {
  const support = examine();
  if ('reason' in support) throw new Error(`device native: ${support.reason}`);
  return support.runtime;
}

function examine(): Found {
  if (!found) {
    try {
      found = look();
    } catch (error) {
      found = { reason: sentence(error) };
    }
  }
  return found;
}

function sentence(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function look(): Found {
  const host = nodeProcess();
  if (!host) return { reason: 'it needs Node; in a browser use device wasm' };
  const unsuited = unsuitable(host.platform, host.arch);
  if (unsuited !== undefined) return { reason: unsuited };
  let system: System;
  try {
    system = openSystem(loadKoffi());
  } catch (error) {
    return { reason: withoutKoffi(error) };
  }
  const code = new CodeMemory(system);
  const runtime = new Runtime(system, code);
  let words: Uint32Array;
  try {
    words = askProcessor(runtime);
  } catch (error) {
    return {
      reason:
        `the system allows no executable memory (${sentence(error)}): allow it for this process ` +
        '(SELinux: setsebool deny_execmem 0; systemd: MemoryDenyWriteExecute=no), or use device wasm',
    };
  }
  const decoded = decodeFeatures(words);
  const amxTile = decoded.amxTile && amxAllowed() && mayUseTiles(system);
  const features = { ...decoded, amxTile };
  const isa = bestIsa(features);
  if (!isa) {
    return {
      reason:
        'this processor, or the virtual machine around it, has no AVX2 with FMA, F16C and BMI2, ' +
        'which it needs; use device wasm',
    };
  }
  return { isa, features, threads: threadsOf(system), runtime };
}

/** Why no code of this device runs on such a system; undefined: it may. */
export function unsuitable(platform: string, arch: string): string | undefined {
  if (arch !== 'x64') {
    return `it makes code for x86-64, and this Node is for ${arch}; use device wasm`;
  }
  if (platform === 'linux') return undefined;
  const names: Readonly<Record<string, string>> = { darwin: 'macOS', win32: 'Windows' };
  return (
    `it speaks to the system as Linux wants it, and this is ${names[platform] ?? platform}; use ` +
    'device wasm'
  );
}

function withoutKoffi(error: unknown): string {
  const missing = (error as { code?: unknown }).code === 'MODULE_NOT_FOUND';
  if (missing)
    return 'the package koffi, by which it calls machine code, is not there: npm i koffi';
  const [line] = sentence(error).split('\n');
  return `the package koffi, by which it calls machine code, does not load (${line}): npm i koffi`;
}

function askProcessor(runtime: Runtime): Uint32Array {
  const { system, code } = runtime;
  const address = code.install(cpuidCode());
  const page = mapPages(system, PAGE);
  try {
    runtime.callAt(address)(page);
    const words = new Uint32Array(CPUID_WORDS);
    system.libc.copyOut(words, page, words.byteLength);
    return words;
  } finally {
    system.libc.munmap(page, PAGE);
    code.remove(address);
  }
}

/** Numbers of Linux: arch_prctl, its ARCH_REQ_XCOMP_PERM, and the state of tiles in XCR0. */
const ARCH_PRCTL = 158;
const REQUEST_STATE = 0x1023;
const TILE_STATE = 18;

/**
 * Asks the system for the 8 KiB a thread that tiles need; threads made afterwards have them. Older
 * systems, and some sandboxes, give none.
 */
function mayUseTiles({ libc }: System): boolean {
  return libc.systemCall(ARCH_PRCTL, REQUEST_STATE, TILE_STATE) === 0;
}

export function bestIsa(features: X64Features): Isa | undefined {
  const { avx2, fma, f16c, bmi2, avx512 } = features;
  if (!(avx2 && fma && f16c && bmi2)) return undefined;
  return avx512 ? 'avx512' : 'avx2';
}

/** Threads by default on this machine. */
function threadsOf({ libc }: System): number {
  const mask = new Uint8Array(1024);
  const length = libc.getAffinity(0, mask.length, mask);
  const affinity = length < 0 ? undefined : countProcessors(mask);
  const available = os().availableParallelism();
  return defaultThreads(available, affinity, processorQuota(textOf));
}

/**
 * What the compiler is to make for this machine.
 *
 * @param wish TERSOR_ISA
 * @param products TERSOR_BF16
 * @throws RangeError for instructions that the machine does not have
 */
export function nativeTarget(
  machine: NativeMachine,
  wish: IsaSetting | undefined,
  threads: number,
  products: Bf16Products | undefined = bf16Setting(),
): Target & { readonly kind: 'x64' } {
  if (wish === 'none') {
    throw new RangeError('TERSOR_ISA is none; expected avx2, avx512 or nothing for device native');
  }
  if (wish === 'avx512' && machine.isa !== 'avx512') {
    throw new RangeError(
      'TERSOR_ISA is avx512; expected avx2: this machine has no AVX-512 (F, BW, DQ, VL and CD)',
    );
  }
  const { features } = machine;
  if ((wish ?? machine.isa) === 'avx2') {
    return { kind: 'x64', isa: 'avx2', vnni: features.avxVnni, bf16: false, vbmi: false, threads };
  }
  return {
    kind: 'x64',
    isa: 'avx512',
    vnni: features.avx512Vnni,
    bf16: features.avx512Bf16,
    vbmi: features.avx512Vbmi,
    bf16Products: bf16ProductsOf(features, products),
    byteTiles: features.amxTile && features.amxInt8,
    threads,
  };
}

/**
 * How products of bf16 are made with AVX-512. A core of Sapphire Rapids does 3500 GFLOP/s by tiles, 230
 * in f32 and 115 by pairs: there pairs are never the better way. Zen 4 and 5 have no tiles, and do twice
 * as much by pairs as in f32.
 *
 * @throws RangeError for a way that the machine does not have
 */
function bf16ProductsOf(
  { amd, avx512Bf16, amxTile, amxBf16 }: X64Features,
  wish: Bf16Products | undefined,
): 'pairs' | 'tiles' | undefined {
  // Both pack their operands by the conversions of AVX512_BF16.
  const tiles = avx512Bf16 && amxTile && amxBf16;
  if ((wish === 'tiles' && !tiles) || (wish === 'pairs' && !avx512Bf16)) {
    throw new RangeError(
      `TERSOR_BF16 is ${wish}; expected f32 or nothing: this machine has no ` +
        (wish === 'tiles' ? 'AMX-BF16 for this process' : 'AVX512_BF16'),
    );
  }
  if (wish !== undefined) return wish === 'f32' ? undefined : wish;
  if (tiles) return 'tiles';
  return avx512Bf16 && amd ? 'pairs' : undefined;
}
