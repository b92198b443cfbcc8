import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  k,
  mem,
  r8,
  r64,
  rax,
  rbx,
  rcx,
  rdi,
  rsi,
  rsp,
  tmm,
  X64Assembler,
  ymm,
  zmm,
} from '../../../src/asm/index.ts';
import { goldenLines } from './cases.ts';

const code = () => new X64Assembler();

/** Assembled by gas 2.40, so nothing here was computed by the code under test. */
const FROM_GAS: readonly (readonly [X64Assembler, string])[] = [
  [code().emit('vfmadd231ps', zmm(0), zmm(1), mem(rax, 0x40)), '62f27548b84001'],
  [
    code().masked('vgatherdps', k(1), false, zmm(1), mem(rax, 0, { vindex: zmm(2), scale: 4 })),
    '62f27d49920c90',
  ],
  [code().emit('tileloadd', tmm(1), mem(rax, 0, { index: rcx })), 'c4e27b4b0c08'],
  [
    code().masked('vaddps', k(3), true, zmm(17), zmm(31), mem(r64(13), 0x7c, { broadcast: true })),
    '62c104d3584d1f',
  ],
  [code().emit('vpdpbusd', ymm(1), ymm(2), ymm(3)), '62f26d2850cb'],
  [code().emit('vpdpbusd_vex', ymm(1), ymm(2), ymm(3)), 'c4e26d50cb'],
  [code().emit('lock_cmpxchg', mem(rdi, 0, { index: rsi, scale: 8 }), r64(9)), 'f04c0fb10cf7'],
  [code().emit('mov', rax, 0x123456789abcd), '48b8cdab896745230100'],
  [code().emit('mov', r8(6), mem(rsp, 0x10)), '408a742410'],
  [code().masked('vpmovusdb', k(2), false, mem(rbx, 0x10), zmm(9)), '62727e4a114b01'],
  [code().emit('kshiftlw', k(1), k(2), 4), 'c4e3f932ca04'],
  [code().emit('vcvtps2ph', mem(rax, 0x20), zmm(1), 4), '62f37d481d480104'],
  [code().emit('vinsertf64x4', zmm(3), zmm(4), mem(r64(8), 0x20), 1), '62d3dd481a580101'],
  [code().emit('imul', r64(8), r64(9), 1000), '4d69c1e8030000'],
];

describe('x64 bytes', () => {
  it.each(FROM_GAS)('are those of another assembler (%#)', (assembler, digits) => {
    expect(Buffer.from(assembler.bytes()).toString('hex')).toBe(digits);
  });

  it('of every row are those that binutils agreed with', () => {
    const golden: unknown = JSON.parse(
      readFileSync(new URL('golden.json', import.meta.url), 'utf8'),
    );
    expect(goldenLines()).toEqual(golden);
  });
});
