import { describe, expect, it } from 'vitest';
import { nativeSupport } from '../../src/device/index.ts';
import { Arena } from '../../src/device/native/arena.ts';
import {
  countProcessors,
  defaultThreads,
  memoryAvailable,
  memoryLeft,
  parseMembership,
  parseMounts,
  processorQuota,
} from '../../src/device/native/cgroup.ts';
import { CPUID_WORDS, decodeFeatures } from '../../src/device/native/cpu.ts';
import type { Region } from '../../src/device/native/region.ts';
import { bestIsa, nativeTarget, unsuitable } from '../../src/device/native/support.ts';
import { RunTable } from '../../src/device/native/table.ts';
import { planOf, unsupported } from './native-code.ts';

const files =
  (texts: Record<string, string>) =>
  (path: string): string | undefined =>
    texts[path];

/** A container of version 2 whose mount shows its own group at the top. */
const CONTAINER = {
  '/proc/self/mountinfo': '31 23 0:28 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup rw\n',
  '/proc/self/cgroup': '0::/\n',
};
const NESTED = {
  '/proc/self/mountinfo':
    '24 1 0:22 / /sys rw - sysfs sysfs rw\n31 23 0:28 / /sys/fs/cgroup rw shared:9 - cgroup2 cgroup2 rw\n',
  '/proc/self/cgroup': '0::/user.slice/app.service\n',
};
const OLD = {
  '/proc/self/mountinfo':
    '33 31 0:30 /docker/ab /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n' +
    '35 31 0:32 /docker/ab /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n',
  '/proc/self/cgroup': '5:cpu,cpuacct:/docker/ab\n4:memory:/docker/ab/task\n1:name=systemd:/x\n',
};

describe('limits of groups', () => {
  it('are found where the mounts show them', () => {
    expect(parseMounts(OLD['/proc/self/mountinfo'])).toEqual([
      {
        root: '/docker/ab',
        point: '/sys/fs/cgroup/cpu,cpuacct',
        controllers: ['rw', 'cpu', 'cpuacct'],
      },
      { root: '/docker/ab', point: '/sys/fs/cgroup/memory', controllers: ['rw', 'memory'] },
    ]);
    expect(parseMembership(OLD['/proc/self/cgroup'])[1]).toEqual({
      controllers: ['memory'],
      path: '/docker/ab/task',
    });
  });

  it('of processors: the least on the way up', () => {
    const at = '/sys/fs/cgroup';
    expect(processorQuota(files({}))).toBeUndefined();
    expect(
      processorQuota(files({ ...CONTAINER, [`${at}/cpu.max`]: 'max 100000\n' })),
    ).toBeUndefined();
    expect(processorQuota(files({ ...CONTAINER, [`${at}/cpu.max`]: '150000 100000\n' }))).toBe(1.5);
    const nested = files({
      ...NESTED,
      [`${at}/user.slice/app.service/cpu.max`]: '800000 100000\n',
      [`${at}/user.slice/cpu.max`]: '250000 100000\n',
    });
    expect(processorQuota(nested)).toBe(2.5);
    const old = (quota: string) =>
      files({
        ...OLD,
        [`${at}/cpu,cpuacct/cpu.cfs_quota_us`]: quota,
        [`${at}/cpu,cpuacct/cpu.cfs_period_us`]: '100000\n',
      });
    expect(processorQuota(old('50000\n'))).toBe(0.5);
    expect(processorQuota(old('-1\n'))).toBeUndefined();
  });

  it('of memory: what is left, pages of files given way', () => {
    const at = '/sys/fs/cgroup';
    const nested = files({
      ...NESTED,
      '/proc/meminfo': 'MemTotal: 100 kB\nMemAvailable:   2000 kB\n',
      [`${at}/user.slice/memory.max`]: '1000000\n',
      [`${at}/user.slice/memory.current`]: '700000\n',
      [`${at}/user.slice/memory.stat`]: 'anon 5\ninactive_file 100000\n',
      [`${at}/user.slice/app.service/memory.max`]: 'max\n',
    });
    expect(memoryLeft(nested)).toBe(400_000);
    expect(memoryAvailable(nested)).toBe(400_000);
    const old = (limit: string) =>
      files({
        ...OLD,
        '/proc/meminfo': 'MemAvailable: 2000 kB\n',
        [`${at}/memory/task/memory.limit_in_bytes`]: limit,
        [`${at}/memory/task/memory.usage_in_bytes`]: '10\n',
      });
    expect(memoryLeft(old('50\n'))).toBe(40);
    expect(memoryLeft(old('9223372036854771712\n'))).toBeUndefined();
    expect(memoryAvailable(old('9223372036854771712\n'))).toBe(2_048_000);
    expect(memoryAvailable(files({}))).toBe(Number.POSITIVE_INFINITY);
  });

  it('make the number of threads', () => {
    expect(countProcessors(new Uint8Array([0b1010_0001, 0, 0xff]))).toBe(11);
    expect(defaultThreads(8, undefined, undefined)).toBe(8);
    expect(defaultThreads(8, 3, undefined)).toBe(3);
    expect(defaultThreads(8, 6, 1.5)).toBe(2);
    expect(defaultThreads(8, 6, 0.1)).toBe(1);
  });
});

describe('an arena', () => {
  /** Memory of which only the books are kept. */
  const booked = (limit: number, resident: () => number) => {
    const back: number[] = [];
    const region = {
      base: 2 ** 30,
      limit,
      size: 0,
      grow(bytes: number) {
        this.size += bytes;
      },
      giveBack: (_: number, bytes: number) => back.push(bytes),
      get residentBytes() {
        return resident();
      },
    };
    return { region: region as unknown as Region, back };
  };
  const MIB = 2 ** 20;
  const available = (mib: number) => files({ '/proc/meminfo': `MemAvailable: ${mib * 1024} kB\n` });

  it('refuses before the system is out of memory, and counts what it has already', () => {
    let resident = 0;
    const { region } = booked(2 ** 40, () => resident);
    const arena = new Arena(region, available(1256));
    arena.allocate(900 * MIB);
    expect(() => arena.allocate(200 * MIB)).toThrow(/900.0 MiB in use; the system or its group/);
    // Now the first piece has been written, and the system says what it has besides.
    resident = 900 * MIB;
    arena.allocate(200 * MIB);
    expect(arena.liveBytes).toBe(1100 * MIB);
  });

  it('can hold what it has and what is available, as far as its addresses reach', () => {
    let resident = 0;
    const { region } = booked(2 ** 40, () => resident);
    const arena = new Arena(region, available(1256));
    expect(arena.capacity).toBe(1000 * MIB);
    resident = 300 * MIB;
    expect(arena.capacity).toBe(1300 * MIB);
    expect(new Arena(region, available(100)).capacity).toBe(300 * MIB);
    expect(new Arena(region, files({})).capacity).toBe(2 ** 40);
  });

  it('keeps a little of what is freed, and gives back much', () => {
    const { region, back } = booked(2 ** 40, () => 0);
    const arena = new Arena(region, available(10_000));
    const few = [1, 2].map(() => arena.allocate(100 * MIB));
    for (const address of few) arena.free(address);
    expect(back).toEqual([]);
    const many = Array.from({ length: 4 }, () => arena.allocate(100 * MIB));
    for (const address of many) arena.free(address);
    expect(Math.max(...back)).toBeGreaterThan(250 * MIB);
  });

  it('has room below its limit only', () => {
    const { region } = booked(128 * MIB, () => 0);
    const arena = new Arena(region, available(10_000));
    arena.allocate(100 * MIB);
    expect(() => arena.allocate(100 * MIB)).toThrow('beyond the address space');
  });
});

describe('support', () => {
  it('says why there is none', () => {
    expect(unsuitable('linux', 'x64')).toBeUndefined();
    expect(unsuitable('linux', 'arm64')).toContain('this Node is for arm64; use device wasm');
    expect(unsuitable('darwin', 'x64')).toContain('this is macOS');
    expect(unsuitable('win32', 'x64')).toContain('this is Windows');
  });

  it('reads what processor and system have', () => {
    const words = new Uint32Array(CPUID_WORDS);
    words[0] = 7;
    words[6] = (1 << 12) | (1 << 27) | (1 << 28) | (1 << 29);
    words[9] = (1 << 3) | (1 << 5) | (1 << 8);
    expect(bestIsa(decodeFeatures(words))).toBeUndefined();
    words[16] = 0b111;
    expect(bestIsa(decodeFeatures(words))).toBe('avx2');
    for (const bit of [16, 17, 28, 30, 31]) words[9] |= 1 << bit;
    // The processor has it, but the system does not keep its registers.
    expect(bestIsa(decodeFeatures(words))).toBe('avx2');
    words[16] = 0b1110_0111;
    expect(bestIsa(decodeFeatures(words))).toBe('avx512');
    words[9] &= ~(1 << 30);
    expect(bestIsa(decodeFeatures(words))).toBe('avx2');
    words[12] = (1 << 4) | (1 << 5);
    expect(decodeFeatures(words).avxVnni).toBe(false);
    words[8] = 1;
    expect(decodeFeatures(words)).toMatchObject({ avxVnni: true, avx512Bf16: false });
  });

  it('multiplies bf16 the fastest way there is, or as TERSOR_BF16 says', () => {
    const none = decodeFeatures(new Uint32Array(CPUID_WORDS));
    const machine = (features: Partial<typeof none>) => ({
      isa: 'avx512' as const,
      features: { ...none, ...features },
      threads: 2,
    });
    const way = (features: Partial<typeof none>, wish?: 'f32' | 'pairs' | 'tiles') =>
      nativeTarget(machine(features), undefined, 1, wish).bf16Products;
    const pairs = { avx512Bf16: true };
    const tiles = { ...pairs, amxTile: true, amxBf16: true };
    expect(way(tiles)).toBe('tiles');
    expect(way(pairs)).toBeUndefined();
    expect(way({ ...pairs, amd: true })).toBe('pairs');
    expect(way({ amd: true })).toBeUndefined();
    expect(way(tiles, 'pairs')).toBe('pairs');
    expect(way(tiles, 'f32')).toBeUndefined();
    expect(() => way(pairs, 'tiles')).toThrow('TERSOR_BF16 is tiles; expected f32 or nothing');
    expect(() => way({}, 'pairs')).toThrow('this machine has no AVX512_BF16');
  });

  it('multiplies bytes by tiles where AMX-INT8 is there and granted', () => {
    const none = decodeFeatures(new Uint32Array(CPUID_WORDS));
    const byteTiles = (features: Partial<typeof none>, wish?: 'avx2') => {
      const machine = { isa: 'avx512' as const, features: { ...none, ...features }, threads: 2 };
      return nativeTarget(machine, wish, 1, undefined).byteTiles ?? false;
    };
    expect(byteTiles({ amxTile: true, amxInt8: true })).toBe(true);
    expect(byteTiles({ amxTile: true })).toBe(false);
    expect(byteTiles({ amxInt8: true })).toBe(false);
    expect(byteTiles({ amxTile: true, amxInt8: true }, 'avx2')).toBe(false);
  });

  it('knows processors of AMD by their name', () => {
    const words = new Uint32Array(CPUID_WORDS);
    const name = new TextEncoder().encode('AuthenticAMD');
    const [first, second, third] = new Uint32Array(name.buffer);
    words.set([first, third, second], 1);
    expect(decodeFeatures(words).amd).toBe(true);
    expect(decodeFeatures(new Uint32Array(CPUID_WORDS)).amd).toBe(false);
  });

  it('makes the target that TERSOR_ISA names', () => {
    const features = decodeFeatures(new Uint32Array(CPUID_WORDS));
    const old = { isa: 'avx2' as const, features: { ...features, avxVnni: true }, threads: 2 };
    const plain = { kind: 'x64', isa: 'avx2', vnni: true, bf16: false, vbmi: false, threads: 4 };
    expect(nativeTarget(old, undefined, 4)).toEqual(plain);
    expect(() => nativeTarget(old, 'avx512', 4)).toThrow('TERSOR_ISA is avx512; expected avx2');
    expect(() => nativeTarget(old, 'none', 4)).toThrow('TERSOR_ISA is none');
    const recent = {
      isa: 'avx512' as const,
      features: { ...features, avx512Vnni: true, avx512Bf16: true },
      threads: 2,
    };
    expect(nativeTarget(recent, 'avx2', 1)).toMatchObject({
      isa: 'avx2',
      vnni: false,
      bf16: false,
    });
    expect(nativeTarget(recent, undefined, 1)).toMatchObject({
      isa: 'avx512',
      vnni: true,
      bf16: true,
      vbmi: false,
    });
  });

  it.skipIf(unsupported !== undefined)(
    'agrees with what the system says of this machine',
    async () => {
      const { readFileSync } = await import('node:fs');
      const support = nativeSupport();
      if ('reason' in support) throw new Error(support.reason);
      const flags = /^flags\s*:\s*(.*)$/m
        .exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1]
        .split(' ');
      const { features } = support;
      const names = {
        avx2: 'avx2',
        fma: 'fma',
        f16c: 'f16c',
        bmi2: 'bmi2',
        avxVnni: 'avx_vnni',
        avx512: 'avx512vl',
        avx512Vnni: 'avx512_vnni',
        avx512Bf16: 'avx512_bf16',
        avx512Vbmi: 'avx512vbmi',
        amxTile: 'amx_tile',
      } as const;
      for (const [feature, flag] of Object.entries(names)) {
        expect([flag, features[feature as keyof typeof names]]).toEqual([
          flag,
          flags?.includes(flag),
        ]);
      }
    },
  );
});

describe('a table', () => {
  it('holds addresses and signed numbers of 64 bits', () => {
    const table = new RunTable(planOf(), 3);
    for (const value of [0, 1, -1, -(2 ** 40) - 7, 2 ** 47 - 64, 2 ** 32, 2 ** 31]) {
      table.set(1, value);
      expect(table.get(1)).toBe(value);
      const bits = new BigInt64Array(table.content.buffer, 0, 2);
      expect(bits[1]).toBe(BigInt(value));
    }
    expect(table.bytes).toBe(8 * 6 + 12);
    expect(table.countersOffset).toBe(48);
  });
});
