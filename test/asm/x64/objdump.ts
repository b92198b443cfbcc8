import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const objdumpIsMissing = spawnSync('objdump', ['--version']).error !== undefined;

/** What binutils reads from machine code: offset and instruction, a line each. */
export function disassemble(bytes: Uint8Array): Map<number, string> {
  const folder = mkdtempSync(join(tmpdir(), 'x64-'));
  try {
    const file = join(folder, 'code.bin');
    writeFileSync(file, bytes);
    const flags = ['-D', '-b', 'binary', '-m', 'i386:x86-64', '-M', 'intel', '--no-show-raw-insn'];
    const { status, stdout, stderr } = spawnSync('objdump', [...flags, file], {
      encoding: 'utf8',
      maxBuffer: 2 ** 28,
    });
    if (status !== 0) throw new Error(stderr);
    const lines = new Map<number, string>();
    for (const line of stdout.split('\n')) {
      const found = /^\s*([0-9a-f]+):\t(.*)$/.exec(line);
      if (found) lines.set(Number.parseInt(found[1], 16), found[2]);
    }
    return lines;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Our listing: offset and instruction, with labels written as offsets. */
export function listed(text: string): Map<number, string> {
  const places = new Map<string, number>();
  const lines = new Map<number, string>();
  let waiting: string[] = [];
  for (const line of text.split('\n')) {
    const label = /^(L\d+):$/.exec(line);
    if (label) waiting.push(label[1]);
    const found = /^\s*([0-9a-f]+): {2}(.*)$/.exec(line);
    if (!found) continue;
    const offset = Number.parseInt(found[1], 16);
    for (const name of waiting) places.set(name, offset);
    waiting = [];
    lines.set(offset, found[2]);
  }
  for (const [offset, line] of lines) {
    const resolved = line
      .replace(
        /\[rip\+(L\d+)(?:\+0x([0-9a-f]+))?\]/,
        (_, name: string, disp: string | undefined) => {
          const target = (places.get(name) ?? Number.NaN) + Number.parseInt(disp ?? '0', 16);
          return `[rip:0x${target.toString(16)}]`;
        },
      )
      .replace(/ (L\d+)$/, (_, name: string) => ` 0x${places.get(name)?.toString(16)}`);
    lines.set(offset, resolved);
  }
  return lines;
}

/** What a listing writes with one name and binutils with another. */
const NAMES: readonly (readonly [RegExp, string])[] = [
  [/^movabs /, 'mov '],
  // Said where VEX could say the same; a form without it is meant.
  [/^\{evex\} /, ''],
  // A SIB byte without an index.
  [/\+riz\*1/, ''],
  [/^(cmov|set|j)c /, '$1b '],
  [/^(cmov|set|j)nc /, '$1ae '],
  [/^(cmov|set|j)z /, '$1e '],
  [/^(cmov|set|j)nz /, '$1ne '],
];

/** Both spellings made equal, without losing what they say: sizes stay where ours says them. */
export function normalized(line: string, ours: string): string {
  let text = line.toLowerCase().replace(/\s*<.*?>/g, '');
  // The target of an address relative to rip.
  text = text.replace(/\[rip[+-]0x[0-9a-f]+\](.*?)\s+# (0x[0-9a-f]+)/, '[rip:$2]$1');
  text = text.replace(/\s+/g, ' ').replace(/, /g, ',').trim();
  for (const [pattern, name] of NAMES) text = text.replace(pattern, name);
  text = text.replace(/\bds:(0x[0-9a-f]+)/, '[$1]').replace(/\bds:/, '');
  // "dword bcst [rax]" and "[rax]{1to16}": the element's size and the vector's give the lanes.
  text = text.replace(/\b[dq]?word bcst (\S+?\])(\{1to\d+\})?/, '$1{broadcast}');
  text = text.replace(/\{1to\d+\}/, '{broadcast}');
  if (!ours.includes(' ptr ')) text = text.replace(/\b\w+ ptr /, '');
  // A displacement that would be nothing is said where an address has no base.
  text = text.replace(/[+-]0x0\]/, ']');
  return canonicalNumbers(text);
}

/** Negative immediates as two's complement, in as many bits as the first operand has. */
function canonicalNumbers(text: string): string {
  return text.replace(
    /([ ,])(-?)0x([0-9a-f]+)$/,
    (_, before: string, sign: string, digits: string) => {
      const value = BigInt(`0x${digits}`) * (sign ? -1n : 1n);
      return `${before}0x${BigInt.asUintN(bitsOf(text), value).toString(16)}`;
    },
  );
}

function bitsOf(text: string): number {
  const first = text.replace(/^(lock |\{vex\} )?\S+ ?/, '');
  if (/^(r[a-z]{2}|r\d+|r[89])\b/.test(first) || first.startsWith('qword')) return 64;
  if (/^(e[a-z]{2}|r\d+d)\b/.test(first) || first.startsWith('dword')) return 32;
  if (/^([abcd]x|[sb]p|[sd]i|r\d+w)\b/.test(first) || first.startsWith('word')) return 16;
  return first.startsWith('0x') || first.startsWith('-0x') ? 64 : 8;
}
