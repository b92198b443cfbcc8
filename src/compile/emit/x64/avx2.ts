import { DTYPES } from '../../../ir/dtype.ts';
import type { Index } from '../../../ir/kernel/index-expr.ts';
import type { CompareFn } from '../../../ir/kernel/types.ts';
import { FLOAT_PREDICATES } from './avx512.ts';
import { type Emitter, floatBits, type Isa } from './emitter.ts';
import { laneCondition, lanesLeft } from './lane-masks.ts';
import { general, type Place, place, type View, vector } from './machine.ts';
import { loadWhere, storeWhere } from './memory.ts';
import { toHalves } from './small-floats.ts';

const SIGN = -(2 ** 31);
const UNORDERED = 3;

/** Bools are lanes of all ones or none, as comparisons leave them. */
export const avx2: Isa = {
  bits: 256,
  registers: 16,
  bools: 'vector',

  compare(e, to, fn, dtype, a, b) {
    if (dtype === 'bool') compareBools(e, to, fn, a, b as View);
    else if (dtype === 'f32') e.m.writes('vcmpps', to, a, b, FLOAT_PREDICATES[fn]);
    else compareIntegers(e, to, fn, dtype === 'u32', a, b);
  },

  select(e, to, condition, a, b) {
    e.m.writes('vblendvps', to, b, a, vector(condition, to.bits));
  },

  nonZero(e, to, a) {
    const zero = e.temporary(to.bits);
    e.m.writes('vpcmpeqd', zero, a, splat(e, 0, to.bits));
    e.m.writes('vxorps', to, zero, splat(e, -1, to.bits));
  },

  bitsWhere(e, to, condition, bits) {
    e.m.writes('vandps', to, vector(condition, to.bits), splat(e, bits, to.bits));
  },

  boolConstant(e, to, value) {
    e.m.writes('vmovaps', to, splat(e, value ? -1 : 0, to.bits));
  },

  boolNot(e, to, a) {
    e.m.writes('vxorps', to, a, splat(e, -1, to.bits));
  },

  boolBinary(e, to, fn, a, b) {
    const names = { and: 'vandps', or: 'vorps', xor: 'vxorps', andn: 'vandnps' } as const;
    e.m.writes(names[fn], to, a, b);
  },

  boolSplat(e, to, a) {
    e.m.writes('vbroadcastss', to, vector(a, 128));
  },

  boolLane(e, to, a, lane) {
    avx2.lane(e, to, vector(a, 256), lane);
  },

  boolPack(e, to, items) {
    const frame = e.m.frame(32);
    items.forEach((item, lane) => {
      e.m.reads('vmovss', place('frame', frame + 4 * lane), vector(item, 128));
    });
    e.m.writes('vmovups', to, place('frame', frame));
  },

  boolShuffle(e, to, a, b, places) {
    avx2.shuffle(e, to, vector(a, 256), vector(b, 256), places);
  },

  copyBool(m, to, from) {
    m.writes('vmovaps', { ...to, bits: 256 }, vector(from, 256));
  },

  floatMinMax(e, to, fn, a, b) {
    // The instruction gives its second operand for NaN and for two zeros: so it is asked both ways.
    const { m } = e;
    const [one, two, both, nan, sum] = [0, 1, 2, 3, 4].map(() => e.temporary(to.bits));
    const name = fn === 'min' ? 'vminps' : 'vmaxps';
    m.writes(name, one, a, b);
    m.writes(name, two, b, a);
    m.writes(fn === 'min' ? 'vorps' : 'vandps', both, one, two);
    m.writes('vcmpps', nan, a, b, UNORDERED);
    m.writes('vaddps', sum, a, b);
    m.writes('vblendvps', to, both, sum, nan);
  },

  floatToInt(e, to, a, unsigned) {
    const { m } = e;
    const { bits } = to;
    const temporary = () => e.temporary(bits);
    if (!unsigned) {
      const [ordered, large, whole, some] = [temporary(), temporary(), temporary(), temporary()];
      m.writes('vcmpps', ordered, a, a, 7);
      m.writes('vcmpps', large, a, splat(e, floatBits(2 ** 31), bits), 13);
      m.writes('vcvttps2dq', whole, a);
      m.writes('vandps', some, whole, ordered);
      m.writes('vblendvps', to, some, splat(e, 0x7fffffff, bits), large);
      return;
    }
    // The upper half of the range is shifted down before, and its sign is put back.
    const [positive, high, offset, low, flipped] = [0, 1, 2, 3, 4].map(temporary);
    const [whole, sum, huge] = [temporary(), temporary(), temporary()];
    m.writes('vmaxps', positive, a, splat(e, 0, bits));
    m.writes('vcmpps', high, positive, splat(e, floatBits(2 ** 31), bits), 13);
    m.writes('vandps', offset, high, splat(e, floatBits(2 ** 31), bits));
    m.writes('vsubps', low, positive, offset);
    m.writes('vcvttps2dq', whole, low);
    m.writes('vandps', flipped, high, splat(e, SIGN, bits));
    m.writes('vxorps', sum, whole, flipped);
    m.writes('vcmpps', huge, positive, splat(e, floatBits(2 ** 32), bits), 13);
    m.writes('vorps', to, sum, huge);
  },

  unsignedToFloat(e, to, a) {
    // Both halves of the bits are exact, and so is the product: one sum is rounded.
    const { m } = e;
    const { bits } = to;
    const [high, low, left, right, scaled] = [0, 1, 2, 3, 4].map(() => e.temporary(bits));
    m.writes('vpsrld', high, a, 16);
    m.writes('vandps', low, a, splat(e, 0xffff, bits));
    m.writes('vcvtdq2ps', left, high);
    m.writes('vmulps', scaled, left, splat(e, floatBits(65536), bits));
    m.writes('vcvtdq2ps', right, low);
    m.writes('vaddps', to, scaled, right);
  },

  intDivide(e, to, unsigned, a, b) {
    const { m } = e;
    const halves = a.bits === 256 ? [0, 1] : [0];
    const quotients = halves.map((half) => {
      const [x, y] = [a, b].map((operand) => {
        const part = half === 0 ? { ...operand, bits: 128 } : e.temporary(128);
        if (half === 1) m.writes('vextractf128', part, operand, 1);
        return toDoubles(e, part, unsigned);
      });
      const quotient = e.temporary(256);
      m.writes('vdivpd', quotient, x, y);
      return fromDoubles(e, quotient, unsigned);
    });
    let all = quotients[0];
    if (quotients[1]) {
      all = e.temporary(256);
      m.writes('vinsertf128', all, { ...quotients[0], bits: 256 }, quotients[1], 1);
    }
    const byZero = e.temporary(to.bits);
    m.writes('vpcmpeqd', byZero, b, splat(e, 0, to.bits));
    m.writes('vandnps', to, byZero, { ...all, bits: to.bits });
  },

  shuffle(e, to, a, b, places) {
    const { m } = e;
    const lanes = places.length;
    const part = (from: View, first: number): View | undefined => {
      const own = places.map((p) => p >= first && p < first + lanes);
      if (!own.includes(true)) return undefined;
      if (places.every((p, i) => !own[i] || p - first === i)) return from;
      const moved = e.temporary(256);
      const index = places.map((p, i) => (own[i] ? p - first : 0));
      m.writes('vpermps', moved, e.table(index), from);
      return moved;
    };
    const [left, right] = [part(a, 0), part(b, lanes)];
    if (left && right) {
      const fromB = places.reduce((bits, p, i) => (p >= lanes ? bits | (1 << i) : bits), 0);
      m.writes('vblendps', to, left, right, fromB);
    } else m.writes('vmovaps', to, (left ?? right) as View);
  },

  lane(e, to, a, lane) {
    let part: View = { ...a, bits: 128 };
    if (lane >= 4) {
      part = e.temporary(128);
      e.m.writes('vextractf128', part, a, 1);
    }
    if (lane % 4 === 0) e.m.writes('vmovaps', { ...to, bits: 128 }, part);
    else e.m.writes('vpermilps', { ...to, bits: 128 }, part, lane % 4);
  },

  byteDot(e, sum, pairs) {
    const { m } = e;
    for (const [a, b] of pairs) {
      if (e.features.vnni) {
        m.changes('vpdpbusd_vex', sum, e.view(b), e.operand(a));
        continue;
      }
      // Sums of two products fit in 16 bits, as the verifier has seen.
      const [products, words] = [e.temporary(sum.bits), e.temporary(sum.bits)];
      m.writes('vpmaddubsw', products, e.view(b), e.operand(a));
      m.writes('vpmaddwd', words, products, splat(e, 0x00010001, sum.bits));
      m.changes('vpaddd', sum, sum, words);
    }
  },

  laneMask(e, mask, lanes) {
    const parts = mask.map((condition) => conditionLanes(e, condition, lanes));
    return parts.reduce((all, part) => {
      const both = e.temporary(256);
      e.m.writes('vandps', both, all, part);
      return both;
    }).register;
  },

  loadMasked(e, to, load, lanes) {
    const isWord = DTYPES[load.buffer.dtype].bytes === 4;
    if (!isWord || load.step !== 1) loadWhere(e, to, load);
    else e.m.writes('vmaskmovps', to, vector(lanes, to.bits), e.address(load.buffer, load.index));
  },

  storeMasked(e, store, value, lanes) {
    const { buffer, index } = store;
    if (buffer.dtype === 'f16') {
      const words = e.temporary(value.bits);
      e.m.writes('vpmovzxwd', words, toHalves(e, value));
      storeWhere(e, store, words);
    } else if (DTYPES[buffer.dtype].bytes !== 4) storeWhere(e, store, value);
    else e.m.reads('vmaskmovps', e.address(buffer, index), vector(lanes, value.bits), value);
  },

  gather(e, to, buffer, index, step) {
    const { m } = e;
    const places = e.table(Array.from({ length: 8 }, (_, lane) => lane * step));
    const [all, result] = [e.temporary(to.bits), e.temporary(to.bits)];
    m.writes('vmovaps', all, splat(e, -1, to.bits));
    m.writes('vxorps', result, result, result);
    const from = e.address(buffer, index, { lanes: { ...places, bits: to.bits }, scale: 4 });
    // The instruction clears its mask, whose register no other operand may share.
    m.changes('vgatherdps', result, from, all);
    m.changes('vxorps', all, all, all);
    m.writes('vmovaps', to, result);
  },

  packed(e, lanes, bytes) {
    const { m } = e;
    const low = e.temporary(lanes.bits);
    const half = (offset: number) =>
      Array.from({ length: 16 / bytes }, (_, i) => (i < 4 ? 4 * i + offset : 0x80));
    const order = bytes === 1 ? half(0) : half(0).flatMap((at) => [at, at === 0x80 ? at : at + 1]);
    const words = Int32Array.from(new Int32Array(Uint8Array.from([...order, ...order]).buffer));
    m.writes('vpshufb', low, lanes, { ...e.table([...words]), bits: lanes.bits });
    if (lanes.bits === 128) return low;
    const joined = e.temporary(256);
    const places = bytes === 1 ? [0, 4, 1, 1, 1, 1, 1, 1] : [0, 1, 4, 5, 2, 2, 2, 2];
    m.writes('vpermps', joined, e.table(places), low);
    return { ...joined, bits: 128 };
  },

  storePacked(e, packed, count, bytes, to) {
    if (count * bytes === 16) e.m.reads('vmovups', to, { ...packed, bits: 128 });
    else e.m.reads('vmovq', to, { ...packed, bits: 128 });
  },
};

function splat(e: Emitter, bits: number, width: number): View {
  return { ...e.constant(bits), bits: width };
}

function compareBools(e: Emitter, to: View, fn: CompareFn, a: View, b: View): void {
  const { m } = e;
  const other = e.temporary(to.bits);
  const ones = splat(e, -1, to.bits);
  switch (fn) {
    case 'eq':
      m.writes('vxorps', other, a, b);
      m.writes('vxorps', to, other, ones);
      return;
    case 'ne':
      m.writes('vxorps', to, a, b);
      return;
    case 'lt':
      m.writes('vandnps', to, a, b);
      return;
    case 'le':
      m.writes('vxorps', other, a, ones);
      m.writes('vorps', to, other, b);
      return;
    default:
      fn satisfies never;
  }
}

/** There are `equal` and `greater` of signed integers only. */
function compareIntegers(
  e: Emitter,
  to: View,
  fn: CompareFn,
  unsigned: boolean,
  a: View,
  b: View | Place,
): void {
  const { m } = e;
  const { bits } = to;
  const flip = (x: View | Place): View | Place => {
    if (!unsigned) return x;
    const flipped = e.temporary(bits);
    m.writes('vxorps', flipped, splat(e, SIGN, bits), x);
    return flipped;
  };
  const held = (x: View | Place): View => {
    if (x.kind === 'view') return x;
    const loaded = e.temporary(bits);
    m.writes('vmovups', loaded, x);
    return loaded;
  };
  const inverted = (name: 'vpcmpeqd' | 'vpcmpgtd', x: View, y: View | Place) => {
    const other = e.temporary(bits);
    m.writes(name, other, x, y);
    m.writes('vxorps', to, other, splat(e, -1, bits));
  };
  switch (fn) {
    case 'eq':
      m.writes('vpcmpeqd', to, a, b);
      return;
    case 'ne':
      inverted('vpcmpeqd', a, b);
      return;
    case 'lt':
      m.writes('vpcmpgtd', to, held(flip(b)), flip(a));
      return;
    case 'le':
      inverted('vpcmpgtd', held(flip(a)), flip(b));
      return;
    default:
      fn satisfies never;
  }
}

/** Four integers as doubles; the sign bit of unsigned ones counts 2^31. */
function toDoubles(e: Emitter, x: View, unsigned: boolean): View {
  const { m } = e;
  const doubles = e.temporary(256);
  if (!unsigned) {
    m.writes('vcvtdq2pd', doubles, x);
    return doubles;
  }
  const [high, low, a, b] = [
    e.temporary(128),
    e.temporary(128),
    e.temporary(256),
    e.temporary(256),
  ];
  m.writes('vpsrld', high, x, 16);
  m.writes('vandps', low, x, splat(e, 0xffff, 128));
  m.writes('vcvtdq2pd', a, high);
  m.writes('vmulpd', a, a, double(e, 65536));
  m.writes('vcvtdq2pd', b, low);
  m.writes('vaddpd', doubles, a, b);
  return doubles;
}

function fromDoubles(e: Emitter, x: View, unsigned: boolean): View {
  const { m } = e;
  const whole = e.temporary(128);
  if (!unsigned) {
    m.writes('vcvttpd2dq', whole, x);
    return whole;
  }
  // 2^31 less, then the sign bit turned: quotients are below 2^32.
  const [floor, shifted] = [e.temporary(256), e.temporary(256)];
  m.writes('vroundpd', floor, x, 3);
  m.writes('vsubpd', shifted, floor, double(e, 2 ** 31));
  m.writes('vcvttpd2dq', whole, shifted);
  m.writes('vxorps', whole, whole, splat(e, SIGN, 128));
  return whole;
}

function double(e: Emitter, value: number): View {
  const [low, high] = new Int32Array(Float64Array.of(value).buffer);
  return e.table([low, high, low, high, low, high, low, high]);
}

/** The lanes of one condition as all ones. */
function conditionLanes(e: Emitter, condition: Index, lanes: number): View {
  const { m } = e;
  const { base, step } = laneCondition(condition);
  const result = e.temporary(256);
  if (step === -1) {
    const count = lanesLeft(e, base, lanes);
    const first = (n: number) => Array.from({ length: 8 }, (_, l) => (l < n ? -1 : 0));
    if (typeof count === 'number') return e.table(first(count));
    // A window over eight lanes of ones and eight of none.
    const window = new Int32Array([...first(8), ...first(0)]);
    const label = e.a.constant(new Uint8Array(window.buffer), 32);
    const [start, offset] = [m.virtual('general'), m.virtual('general')];
    m.writes('lea', general(start), place(label));
    m.writes('imul', general(offset), general(count), -4);
    m.writes('vmovups', result, place(start, 32, { index: offset }));
    return result;
  }
  const [word, first, values] = [e.temporary(128), e.temporary(256), e.temporary(256)];
  m.writes('vmovd', word, general(e.index(base), 32));
  m.writes('vpbroadcastd', first, word);
  m.writes('vpaddd', values, first, e.table(Array.from({ length: 8 }, (_, l) => l * step)));
  m.writes('vpcmpgtd', result, values, splat(e, -1, 256));
  return result;
}
