import { availableParallelism, cpus, freemem, release, totalmem, type } from 'node:os';
import { Command } from 'commander';
import { wasmFeatures } from '../../asm/index.ts';
import { relaxedSimdAllowed } from '../../base/env.ts';
import { InternalError } from '../../base/errors.ts';
import { device, type NativeMachine, nativeSupport } from '../../device/index.ts';
import {
  measureMachine,
  measureNative,
  type NativeMeasurements,
  type Rate,
} from '../../device/measure/index.ts';
import { interruptible } from '../interrupt.ts';
import { version } from '../version.ts';

export function doctorCommand(finish: (code: number) => void): Command {
  return new Command('doctor')
    .description('show versions, devices and what this machine can do at most')
    .option('--json', 'as one object of JSON')
    .action(async (options: { readonly json?: boolean }) => {
      finish(
        await interruptible(async () => {
          const findings = await examine();
          console.log(options.json ? JSON.stringify(findings) : asText(findings));
        }),
      );
    });
}

async function examine() {
  const { simd, relaxedSimd, threads, memory64 } = wasmFeatures();
  const relaxed = relaxedSimd && relaxedSimdAllowed();
  const { peakF32, read, copy } = await measureMachine({ relaxedSimd: relaxed });
  return {
    versions: {
      tersor: version(),
      node: process.versions.node,
      v8: process.versions.v8,
      system: `${type()} ${release()} ${process.arch}`,
    },
    processor: { model: cpus()[0]?.model.trim() ?? 'unknown', cores: availableParallelism() },
    memory: { totalBytes: totalmem(), freeBytes: freemem() },
    devices: {
      interpret: { available: true },
      native: examineNative(),
      wasm: { available: simd, features: { simd, relaxedSimd: relaxed, threads, memory64 } },
    },
    default: simd ? device().name : 'interpret',
    /** Of one thread of WebAssembly. */
    limits: { peakF32, read, copy },
  };
}

/** What device native has and can do, or why it cannot be had. */
export type NativeFindings =
  | {
      readonly available: true;
      readonly isa: 'avx2' | 'avx512';
      readonly features: NativeMachine['features'];
      readonly threads: number;
      /** Of one thread, and of all of them where there are several. */
      readonly limits: readonly NativeMeasurements[];
    }
  | { readonly available: false; readonly reason: string };

function examineNative(): NativeFindings {
  const support = nativeSupport();
  if ('reason' in support) return { available: false, reason: support.reason };
  try {
    // As TERSOR_ISA and TERSOR_THREADS want it.
    const { target } = device('native');
    if (target.kind !== 'x64') throw new InternalError(`native makes ${target.kind}`);
    const { isa, threads } = target;
    const limits = [...new Set([1, threads])].map((count) =>
      measureNative(count, { isa, repeats: 3 }),
    );
    return { available: true, isa, features: support.features, threads, limits };
  } catch (error) {
    return { available: false, reason: (error as Error).message };
  }
}

type Findings = Awaited<ReturnType<typeof examine>>;

function asText(findings: Findings): string {
  const { versions, processor, memory, devices, limits } = findings;
  const gib = (bytes: number) => `${(bytes / 2 ** 30).toFixed(1)} GiB`;
  const features = Object.entries(devices.wasm.features)
    .map(([name, has]) => `${has ? '' : 'no '}${SPOKEN[name] ?? name}`)
    .join(', ');
  const lines: [string, string][] = [
    ['tersor', versions.tersor],
    ['node', `${versions.node} (V8 ${versions.v8})`],
    ['system', versions.system],
    ['processor', `${processor.model}, ${processor.cores} cores`],
    ['memory', `${gib(memory.totalBytes)}, ${gib(memory.freeBytes)} free`],
    ...nativeLines(devices.native),
    ['wasm', devices.wasm.available ? features : 'not available: this engine has no SIMD'],
    ['interpret', 'available (slow; the oracle of the others)'],
    ['default', findings.default],
    ['f32 peak', `${rate(limits.peakF32)}, one thread of wasm`],
    ['memory read', `${rate(limits.read)}, likewise`],
    ['memory copy', `${rate(limits.copy)}, likewise`],
  ];
  return lines.map(([name, value]) => `${name.padEnd(12)} ${value}`).join('\n');
}

function rate({ median, unit }: Rate): string {
  return `${median.toFixed(1)} ${unit}`;
}

/** Names of processors' features that the set of instructions does not imply. */
const EXTRAS: readonly (readonly [keyof NativeMachine['features'], string])[] = [
  ['avxVnni', 'AVX-VNNI'],
  ['avx512Vnni', 'AVX512-VNNI'],
  ['avx512Bf16', 'AVX512-BF16'],
  ['avx512Vbmi', 'AVX512-VBMI'],
  ['amxTile', 'AMX'],
];

/** What `tersor doctor` says of device native. */
export function nativeLines(native: NativeFindings): [string, string][] {
  if (!native.available) return [['native', `not available: ${native.reason}`]];
  const { isa, features, threads, limits } = native;
  const extras = EXTRAS.filter(([key]) => features[key]).map(([, name]) => name);
  const named = [isa === 'avx512' ? 'AVX-512' : 'AVX2, FMA', ...extras].join(', ');
  const lines: [string, string][] = [
    ['native', `${named}; ${threads} ${threads === 1 ? 'thread' : 'threads'}`],
  ];
  for (const { threads: count, peakF32, peakBf16, peakInt8, read, copy } of limits) {
    const parts = [
      `f32 ${rate(peakF32)}`,
      peakBf16 && `bf16 ${rate(peakBf16)}`,
      peakInt8 && `int8 ${rate(peakInt8)}`,
      `read ${rate(read)}`,
      `copy ${rate(copy)}`,
    ].filter((part) => part !== undefined);
    const of = count === 1 ? '1 thread' : `${count} threads`;
    lines.push(['', `${of} at most: ${parts.join(', ')}`]);
  }
  return lines;
}

const SPOKEN: Readonly<Record<string, string>> = {
  simd: 'SIMD',
  relaxedSimd: 'relaxed SIMD',
  memory64: '64-bit memory',
};
