import { describe, expect, it } from 'vitest';
import {
  at,
  k,
  type Mnemonic,
  mem,
  r8,
  r32,
  r64,
  rax,
  rcx,
  rsp,
  X64Assembler,
  xmm,
  ymm,
  zmm,
} from '../../../src/asm/index.ts';
import { parseRow } from '../../../src/asm/x64/form.ts';
import { disassemble, listed, normalized, objdumpIsMissing } from './objdump.ts';

const hex = (code: X64Assembler) => Buffer.from(code.bytes()).toString('hex');
const four = (value: number) => new Uint8Array([value, 0, 0, 0]);

describe('labels', () => {
  it('take a short jump back where it reaches and a long one where it does not', () => {
    const code = new X64Assembler();
    const start = code.label();
    code.bind(start);
    while (code.size < 126) code.emit('nop');
    code.jump(start);
    expect(hex(code).slice(-4)).toBe('eb80');
    code.branch('ne', start);
    expect(hex(code).slice(-12)).toBe('0f857affffff');
  });

  it('may be bound after the jump', () => {
    const code = new X64Assembler();
    const [end, next] = [code.label(), code.label()];
    code.branch('z', end).call(next).jump(end).bind(next).emit('ret').bind(end);
    expect(hex(code)).toBe(`0f840b000000${'e805000000'}${'e901000000'}c3`);
    expect(code.offsetOf(end)).toBe(17);
  });

  it('are refused where they have no place, two places, or another owner', () => {
    const code = new X64Assembler();
    const open = code.label();
    code.jump(open);
    expect(() => code.bytes()).toThrow(/L0 has no place/);
    code.bind(open);
    expect(() => code.bind(open)).toThrow(/bound twice/);
    const other = new X64Assembler();
    other.label();
    expect(() => other.jump(open)).toThrow(/another assembler/);
    expect(() => other.emit('lea', rax, at(open))).toThrow(/another assembler/);
  });
});

describe('constants', () => {
  it('lie behind the code, strictest alignment first, and are addressed from the instruction', () => {
    const code = new X64Assembler();
    const small = code.constant(four(7));
    const wide = code.constant(new Uint8Array(64).fill(9));
    code.emit('vmovss', xmm(0), at(small)).emit('vinsertps', xmm(0), xmm(1), at(small, 2), 3);
    code.emit('vmovups', zmm(1), at(wide)).emit('ret');
    const bytes = code.bytes();
    expect(code.offsetOf(wide)).toBe(64);
    expect(code.offsetOf(small)).toBe(128);
    expect(bytes.length).toBe(132);
    expect([...bytes.subarray(64, 129)]).toEqual([...new Array(64).fill(9), 7]);
    expect(bytes[code.size]).toBe(0xcc);
    const view = new DataView(bytes.buffer);
    expect(view.getInt32(4, true)).toBe(128 - 8);
    // One byte of immediate comes after the displacement.
    expect(view.getInt32(13, true)).toBe(130 - 18);
  });

  it('that are equal are kept once, with the strictest alignment', () => {
    const code = new X64Assembler();
    const other = code.constant(four(2), 16);
    const first = code.constant(four(1));
    expect(code.constant(four(1), 32)).toBe(first);
    const bytes = code.emit('ret').bytes();
    expect([code.offsetOf(first), code.offsetOf(other)]).toEqual([64, 80]);
    expect(bytes.length).toBe(84);
    expect(() => code.constant(four(3), 3)).toThrow(/alignment is 3; expected a power of two/);
  });

  it('do not follow later changes of the array they came from', () => {
    const code = new X64Assembler();
    const value = four(5);
    const label = code.constant(value);
    value[0] = 6;
    expect(code.bytes()[code.offsetOf(label)]).toBe(5);
  });
});

describe('align', () => {
  it.skipIf(objdumpIsMissing)('fills with as few instructions as can be', () => {
    for (let size = 0; size < 64; size++) {
      const code = new X64Assembler();
      for (let i = 0; i < size; i++) code.emit('ret');
      code.align(32);
      expect(code.size).toBe(Math.ceil(size / 32) * 32);
      if (size % 16 !== 1) continue;
      const read = [...disassemble(code.bytes())].filter(([offset]) => offset >= size);
      expect(read.map(([, line]) => line).filter((line) => !line.includes('nop'))).toEqual([]);
      expect(read.length).toBe(Math.ceil((code.size - size) / 9));
    }
  });

  it('refuses what is no power of two', () => {
    expect(() => new X64Assembler().align(24)).toThrow(/alignment is 24; expected a power of two/);
  });
});

describe('the choice of a form', () => {
  const bytesOf = (name: Mnemonic, ...operands: Parameters<X64Assembler['emit']>[1][]) =>
    hex(new X64Assembler().emit(name, ...operands));

  it('takes VEX of two bytes, VEX of three, then EVEX', () => {
    expect(bytesOf('vaddps', ymm(9), ymm(1), ymm(2)).slice(0, 2)).toBe('c5');
    expect(bytesOf('vaddps', ymm(9), ymm(1), ymm(10)).slice(0, 2)).toBe('c4');
    expect(bytesOf('vaddps', ymm(9), ymm(1), ymm(16)).slice(0, 2)).toBe('62');
    expect(bytesOf('vaddps', ymm(9), ymm(1), mem(rax, 0, { broadcast: true })).slice(0, 2)).toBe(
      '62',
    );
    expect(hex(new X64Assembler().masked('vaddps', k(1), false, ymm(0), ymm(1), ymm(2)))).toMatch(
      /^62/,
    );
  });

  it('takes the shortest immediate that holds the number', () => {
    expect(bytesOf('add', rax, 127)).toBe('4883c07f');
    expect(bytesOf('add', rax, 128)).toBe('4881c080000000');
    expect(bytesOf('mov', rax, -1)).toBe('48c7c0ffffffff');
    expect(bytesOf('mov', rax, 2 ** 31)).toBe('48b80000008000000000');
    expect(bytesOf('mov', rax, -(2 ** 31) - 1)).toBe('48b8ffffff7fffffffff');
    expect(bytesOf('mov', r32(0), 2 ** 32 - 1)).toBe('b8ffffffff');
  });

  it('never runs out of room', () => {
    const code = new X64Assembler();
    for (let i = 0; i < 20_000; i++) code.emit('mov', rax, 2 ** 40 + i);
    const bytes = code.bytes();
    expect(bytes.length).toBe(200_000);
    const last = new DataView(bytes.buffer).getBigUint64(200_000 - 8, true);
    expect(last).toBe(BigInt(2 ** 40 + 19_999));
  });
});

describe('operands that no form takes', () => {
  const code = new X64Assembler();
  it.each<[string, () => unknown, RegExp]>([
    ['kind', () => code.emit('vaddps', zmm(0), rax), /vaddps does not take \(zmm0, rax\)/],
    ['width', () => code.emit('vaddps', zmm(0), zmm(1), ymm(2)), /\(zmm0, zmm1, ymm2\); expected/],
    ['number of operands', () => code.emit('ret', rax), /ret does not take \(rax\)/],
    ['size of memory', () => code.emit('inc', mem(rax)), /inc does not take \(\[rax\]\)/],
    ['wrong size', () => code.emit('add', rax, mem(rax, 0, { bits: 32 })), /dword ptr \[rax\]/],
    ['immediate', () => code.emit('add', rax, 2 ** 31), /add does not take \(rax, 0x80000000\)/],
    ['fraction', () => code.emit('shl', rax, 1.5), /shl does not take/],
    ['count', () => code.emit('shl', rax, r8(2)), /\(rax, dl\)/],
    ['no EVEX', () => code.emit('vpand', ymm(16), ymm(0), ymm(0)), /\(ymm16, ymm0, ymm0\)/],
    [
      'no broadcast',
      () => code.emit('vpaddb', zmm(0), zmm(1), mem(rax, 0, { broadcast: true })),
      /broadcast/,
    ],
    ['mask on VEX', () => code.masked('vpand', k(1), false, ymm(0), ymm(0), ymm(0)), /vpand\{k1\}/],
    ['zeroing memory', () => code.masked('vmovups', k(1), true, mem(rax), zmm(0)), /\{k1\}\{z\}/],
    ['k0', () => code.masked('vmovups', k(0), true, zmm(1), zmm(0)), /k0 cannot mask vmovups/],
    [
      'gather without mask',
      () => code.emit('vgatherdps', zmm(1), mem(rax, 0, { vindex: zmm(2) })),
      /does not take/,
    ],
    [
      'label of a tile',
      () => code.emit('tileloadd', { kind: 'tmm', id: 0 }, at(code.label())),
      /cannot address a label/,
    ],
    ['index', () => mem(rax, 0, { index: rsp }), /index is 4; expected a register of 64 bits/],
    ['base', () => mem(r32(0)), /base is 32; expected a register of 64 bits/],
    ['displacement', () => mem(rax, 2 ** 31), /disp is 2147483648; expected an integer of 32 bits/],
    ['register', () => zmm(32), /zmm: id is 32; expected an integer from 0 to 31/],
  ])('are refused: %s', (_, attempt, message) => {
    const before = code.size;
    expect(attempt).toThrow(message);
    expect(code.size - before).toBe(0);
  });
});

describe('the listing', () => {
  it('shows offsets, labels, masks and constants', () => {
    const code = new X64Assembler();
    const one = code.constant(four(1));
    const loop = code.label();
    code.emit('nop').align(4).bind(loop);
    code.masked('vaddps', k(2), true, zmm(17), zmm(1), at(one, 0, { broadcast: true }));
    code
      .emit('lock_add', mem(rcx, -8, { bits: 32 }), -1)
      .emit('vpdpbusd_vex', xmm(0), xmm(1), xmm(2));
    code.emit('mov', r64(9), mem(undefined, 16, { index: rcx, scale: 4 })).branch('nz', loop);
    expect(code.text().split('\n')).toEqual([
      '     0:  nop',
      '     1:  .align 4',
      'L1:',
      '     4:  vaddps zmm17{k2}{z}, zmm1, [rip+L0]{1to16}',
      '     e:  lock add dword ptr [rcx-0x8], -0x1',
      '    13:  {vex} vpdpbusd xmm0, xmm1, xmm2',
      '    18:  mov r9, [rcx*4+0x10]',
      '    20:  jnz L1',
      'L0:',
      '    40:  .byte 01 00 00 00',
      '',
    ]);
  });

  it.skipIf(objdumpIsMissing)('of jumps names the places that objdump finds', () => {
    const code = new X64Assembler();
    const [back, ahead] = [code.label(), code.label()];
    code.bind(back).emit('nop').jump(ahead).jump(back).branch('a', back).branch('nc', ahead);
    code.call(back).emit('nop').bind(ahead).emit('ret');
    const read = disassemble(code.bytes());
    for (const [offset, line] of listed(code.text())) {
      expect(normalized(read.get(offset) ?? '', line)).toBe(normalized(line, line));
    }
  });
});

describe('the table', () => {
  it.each([
    'V V V/m : vex.0f 58 what',
    'V V/w : vex.0f 58',
    'V V V V V : vex.0f 58',
    'V V : xop.0f 58',
    'V V : vex.0f9 58',
  ])('refuses a row that it cannot read: %s', (row) => {
    expect(() => parseRow(row)).toThrow(/x64 table: cannot read/);
  });
});
