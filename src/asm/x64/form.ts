import { InternalError } from '../../base/errors.ts';
import { CLASS } from './operand.ts';

/**
 * One row of the table: a form of an instruction, or several, each written as
 *
 *     operands : space.prefix.map.w opcode[/extension] words
 *
 * Operands, with alternatives between slashes:
 *
 * - `r8 r16 r32 r64 cl`, `x y z`, `k`, `t` (tile): registers.
 * - `V`: a vector of each length there is (VEX 128 and 256, EVEX also 512); `H`, `Q`, `E` are a half, a
 *   quarter and an eighth of it, but never less than an xmm.
 * - `G`: each of r16, r32, r64; `D`: each of r32, r64.
 * - `m`: memory, with `G` and `D` of their size; `m8 m16 m32 m64`; with an exclamation mark its size
 *   must be said, because no register says it. `vV`: memory indexed by a vector as long as `V`.
 * - `i8s i8 i16 i32 i32u i64`: immediates as in `CLASS`; `iz`: what an operation on `G` takes.
 *
 * Space is `legacy`, `vex`, `evex` or `vex+evex`; prefix `66`, `f3`, `f2`; map `0f`, `0f38`, `0f3a`
 * (none: opcodes of one byte); `w1` sets W, `w01` sets it in EVEX only.
 *
 * Words:
 *
 * - Where operands go, if not reg, vvvv, rm: letters r, v, m, in order; `s` (upper half of a byte at
 *   the end), `o` (low bits of the opcode). Immediates need no letter.
 * - What a displacement of one byte counts in EVEX: `vl vl2 vl4 vl8` (the vector, a half of it, ...),
 *   `n1 n2 n4 n8 n16 n32` bytes; `full`, `half`: as vl, vl2, or one element, broadcast.
 * - `256+`: no form of 128 bits. `l1`: vector length 256 though no operand says so.
 * - `nomask`, `needmask`: EVEX without a write mask, or not without one.
 * - `lock`: prefix. `sib`: the address needs a SIB byte. `=F0`: this byte instead of operands.
 */
export type Row = string | readonly string[];

export type Space = 'legacy' | 'vex' | 'evex';

/** One way to encode an instruction, for one size of its operands. Positions are -1 where absent. */
export interface Form {
  readonly space: Space;
  /** The row it comes from. */
  readonly source: string;
  /** Classes that each operand may have. */
  readonly accepts: readonly number[];
  readonly prefix: 0 | 1 | 2 | 3;
  readonly map: 0 | 1 | 2 | 3;
  readonly opcode: number;
  readonly w: 0 | 1;
  /** Vector length: 0, 1, 2 for 128, 256, 512 bits. */
  readonly l: 0 | 1 | 2;
  /** Which operand stands in which field. */
  readonly reg: number;
  readonly vvvv: number;
  readonly rm: number;
  readonly immediate: number;
  readonly is4: number;
  readonly inOpcode: number;
  /** What stands in the reg field instead of a register. */
  readonly extension: number;
  readonly fixed: number;
  readonly immediateBytes: number;
  /** Bytes that a displacement of one byte counts. */
  readonly unit: number;
  /** Legacy operations on 16 bits. */
  readonly operandSizePrefix: boolean;
  readonly mask: 'optional' | 'none' | 'needed';
  readonly lock: boolean;
  readonly sib: boolean;
}

const PREFIXES: Record<string, 0 | 1 | 2 | 3> = { np: 0, '66': 1, f3: 2, f2: 3 };
const MAPS: Record<string, 1 | 2 | 3> = { '0f': 1, '0f38': 2, '0f3a': 3 };
const IMMEDIATE_BYTES: Record<string, number> = { i8s: 1, i8: 1, i16: 2, i32: 4, i32u: 4, i64: 8 };
const DEFAULT_FIELDS = ['', 'm', 'rm', 'rvm', 'rvms'];
const EXPLICIT_UNIT = /^n(1|2|4|8|16|32)$/;
const VECTOR_DIVISOR: Record<string, number> = { V: 1, H: 2, Q: 4, E: 8, vV: 1 };

/** One size of a row that stands for several. */
interface Size {
  /** Of `V`: 0, 1, 2. */
  readonly vector: 0 | 1 | 2;
  /** Of `G` and `D`. */
  readonly general: 16 | 32 | 64 | undefined;
}

/** All forms of a row, in the order in which they are tried: the shorter VEX comes before EVEX. */
export function parseRow(row: Row): readonly Form[] {
  const sources = typeof row === 'string' ? [row] : row;
  const forms = sources.flatMap(parseSource);
  return forms.sort((a, b) => Number(a.space === 'evex') - Number(b.space === 'evex'));
}

function parseSource(source: string): Form[] {
  const [left, right] = source.split(':');
  const operands = left.split(' ').filter((token) => token !== '');
  const [encoding, opcode, ...words] = right.trim().split(' ');
  const [spaces, ...parts] = encoding.split('.');
  const forms: Form[] = [];
  for (const space of spaces.split('+')) {
    if (space !== 'legacy' && space !== 'vex' && space !== 'evex') throw wrong(source, space);
    for (const size of sizesOf(operands, space, words)) {
      forms.push(parseForm(source, operands, space, parts, opcode, words, size));
    }
  }
  return forms;
}

function sizesOf(operands: readonly string[], space: Space, words: readonly string[]): Size[] {
  const kinds = operands.flatMap((operand) => operand.split('/'));
  if (kinds.some((kind) => kind in VECTOR_DIVISOR)) {
    const lengths = space === 'evex' ? ([0, 1, 2] as const) : ([0, 1] as const);
    const least = words.includes('256+') ? 1 : 0;
    return lengths.filter((l) => l >= least).map((vector) => ({ vector, general: undefined }));
  }
  const vector = words.includes('l1') ? 1 : kinds.includes('z') ? 2 : kinds.includes('y') ? 1 : 0;
  if (kinds.includes('G')) return ([16, 32, 64] as const).map((general) => ({ vector, general }));
  if (kinds.includes('D')) return ([32, 64] as const).map((general) => ({ vector, general }));
  return [{ vector, general: undefined }];
}

function parseForm(
  source: string,
  operands: readonly string[],
  space: Space,
  parts: readonly string[],
  opcodeText: string,
  words: readonly string[],
  size: Size,
): Form {
  const [opcode, extension] = opcodeText.split('/');
  const kinds = operands.map((operand) =>
    operand === 'iz'
      ? size.general === 16
        ? 'i16'
        : size.general === 64
          ? 'i32'
          : 'i32u'
      : operand,
  );
  const immediate = kinds.findIndex((kind) => kind in IMMEDIATE_BYTES);
  const placed = kinds.flatMap((kind, i) => (i === immediate || kind === 'cl' ? [] : [i]));
  const fields = words.find((word) => /^[rvmso]+$/.test(word)) ?? DEFAULT_FIELDS[placed.length];
  if (fields?.length !== placed.length) throw wrong(source, 'the number of operands');
  const position = (field: string) => placed[fields.indexOf(field)] ?? -1;

  let prefix: Form['prefix'] = 0;
  let map: Form['map'] = 0;
  let w: Form['w'] = size.general === 64 ? 1 : 0;
  for (const part of parts) {
    if (part in PREFIXES) prefix = PREFIXES[part];
    else if (part in MAPS) map = MAPS[part];
    else if (part === 'w1' || (part === 'w01' && space === 'evex')) w = 1;
    else if (part !== 'w0' && part !== 'w01') throw wrong(source, part);
  }

  let unit = 1;
  let fixed = -1;
  const broadcast = space === 'evex' && (words.includes('full') || words.includes('half'));
  for (const word of words) {
    const bytes = unitOf(word, 16 << size.vector);
    if (bytes !== undefined) unit = bytes;
    else if (word.startsWith('=')) fixed = Number.parseInt(word.slice(1), 16);
    else if (!KNOWN_WORDS.has(word) && word !== fields) throw wrong(source, word);
  }
  return {
    space,
    source,
    accepts: kinds.map((kind) => acceptedBy(source, kind, space, size, broadcast)),
    prefix,
    map,
    opcode: Number.parseInt(opcode, 16),
    w,
    l: size.vector,
    reg: position('r'),
    vvvv: position('v'),
    rm: position('m'),
    immediate,
    is4: position('s'),
    inOpcode: position('o'),
    extension: extension === undefined ? -1 : Number(extension),
    fixed,
    immediateBytes: immediate < 0 ? 0 : IMMEDIATE_BYTES[kinds[immediate]],
    unit: space === 'evex' ? unit : 1,
    operandSizePrefix: space === 'legacy' && size.general === 16,
    mask:
      space !== 'evex' || words.includes('nomask')
        ? 'none'
        : words.includes('needmask')
          ? 'needed'
          : 'optional',
    lock: words.includes('lock'),
    sib: words.includes('sib'),
  };
}

const KNOWN_WORDS = new Set(['256+', 'l1', 'nomask', 'needmask', 'lock', 'sib']);

function unitOf(word: string, vectorBytes: number): number | undefined {
  if (word === 'vl' || word === 'full') return vectorBytes;
  if (word === 'vl2' || word === 'half') return vectorBytes / 2;
  if (word === 'vl4') return vectorBytes / 4;
  if (word === 'vl8') return vectorBytes / 8;
  const explicit = EXPLICIT_UNIT.exec(word);
  return explicit ? Number(explicit[1]) : undefined;
}

function acceptedBy(source: string, kind: string, space: Space, size: Size, broadcast: boolean) {
  const sized = size.general === undefined ? undefined : (`m${size.general}` as const);
  let accepted = 0;
  for (const one of kind.split('/')) {
    if (one === 'G' || one === 'D') accepted |= CLASS[`r${size.general ?? 32}`];
    else if (one === 'm' && sized) accepted |= CLASS.m | CLASS[sized];
    else if (one === 'm!' && sized) accepted |= CLASS[sized];
    else if (one === 'm') accepted |= CLASS.m | CLASS.m8 | CLASS.m16 | CLASS.m32 | CLASS.m64;
    else if (one in SIZED_MEMORY) accepted |= SIZED_MEMORY[one];
    else if (one === 't') accepted |= CLASS.tmm;
    else if (one in VECTOR_DIVISOR) {
      const bytes = Math.max(16, (16 << size.vector) / VECTOR_DIVISOR[one]);
      const first = one === 'vV' ? CLASS.vx : CLASS.x;
      accepted |= vectors(bytes === 16 ? first : bytes === 32 ? first << 1 : first << 2, space);
    } else if (one === 'x' || one === 'y' || one === 'z') accepted |= vectors(CLASS[one], space);
    else if (one in PLAIN) accepted |= PLAIN[one];
    else throw wrong(source, one);
    if (one === 'm' && broadcast) accepted |= CLASS.broadcast;
  }
  return accepted;
}

/** Registers 16..31 have the class three bits above that of 0..15. */
function vectors(low: number, space: Space): number {
  return space === 'evex' ? low | (low << 3) : low;
}

const SIZED_MEMORY: Record<string, number> = {
  m8: CLASS.m | CLASS.m8,
  m16: CLASS.m | CLASS.m16,
  m32: CLASS.m | CLASS.m32,
  m64: CLASS.m | CLASS.m64,
  'm8!': CLASS.m8,
  'm16!': CLASS.m16,
  'm32!': CLASS.m32,
  'm64!': CLASS.m64,
};

const { r8, r16, r32, r64, cl, k, i8s, i8, i16, i32, i32u, i64 } = CLASS;
const PLAIN: Record<string, number> = { r8, r16, r32, r64, cl, k, i8s, i8, i16, i32, i32u, i64 };

function wrong(source: string, what: string): InternalError {
  return new InternalError(`x64 table: cannot read ${what} in the row "${source}"`);
}
