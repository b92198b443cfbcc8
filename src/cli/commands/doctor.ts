import { availableParallelism, cpus, freemem, release, totalmem, type } from 'node:os';
import { Command } from 'commander';
import { wasmFeatures } from '../../asm/index.ts';
import { relaxedSimdAllowed } from '../../base/env.ts';
import { device } from '../../device/index.ts';
import { measureMachine, type Rate } from '../../device/measure/index.ts';
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
      wasm: { available: simd, features: { simd, relaxedSimd: relaxed, threads, memory64 } },
    },
    default: simd ? device().name : 'interpret',
    /** Of one thread of WebAssembly. */
    limits: { peakF32, read, copy },
  };
}

type Findings = Awaited<ReturnType<typeof examine>>;

function asText(findings: Findings): string {
  const { versions, processor, memory, devices, limits } = findings;
  const gib = (bytes: number) => `${(bytes / 2 ** 30).toFixed(1)} GiB`;
  const rate = ({ median, unit }: Rate) => `${median.toFixed(1)} ${unit}`;
  const features = Object.entries(devices.wasm.features)
    .map(([name, has]) => `${has ? '' : 'no '}${SPOKEN[name] ?? name}`)
    .join(', ');
  const lines: [string, string][] = [
    ['tersor', versions.tersor],
    ['node', `${versions.node} (V8 ${versions.v8})`],
    ['system', versions.system],
    ['processor', `${processor.model}, ${processor.cores} cores`],
    ['memory', `${gib(memory.totalBytes)}, ${gib(memory.freeBytes)} free`],
    ['wasm', devices.wasm.available ? features : 'not available: this engine has no SIMD'],
    ['interpret', 'available (slow; the oracle of the others)'],
    ['default', findings.default],
    ['f32 peak', `${rate(limits.peakF32)}, one thread of wasm`],
    ['memory read', rate(limits.read)],
    ['memory copy', rate(limits.copy)],
  ];
  return lines.map(([name, value]) => `${name.padEnd(12)} ${value}`).join('\n');
}

const SPOKEN: Readonly<Record<string, string>> = {
  simd: 'SIMD',
  relaxedSimd: 'relaxed SIMD',
  memory64: '64-bit memory',
};
