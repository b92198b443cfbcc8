import { DTYPES } from '../../../ir/dtype.ts';
import type { Index } from '../../../ir/kernel/index-expr.ts';
import type { CompareFn, Value } from '../../../ir/kernel/types.ts';
import { type Emitter, floatBits, type Isa } from './emitter.ts';
import { laneCondition, lanesLeft } from './lane-masks.ts';
import { general, mask as maskView, type Place, type View, type Virtual } from './machine.ts';
import { extension, loadWhere } from './memory.ts';
import { toHalves } from './small-floats.ts';

/** Predicates of vcmpps: ordered and quiet, but for `ne`, which holds for NaN. */
export const FLOAT_PREDICATES: Readonly<Record<CompareFn, number>> = {
  eq: 0,
  lt: 17,
  le: 18,
  ne: 4,
};
const INTEGER_PREDICATES: Readonly<Record<CompareFn, number>> = { eq: 0, lt: 1, le: 2, ne: 4 };
const UNORDERED = 3;
const NOT_BELOW = 5;
/** vrangeps: the larger or smaller with its own sign; zeros by their signs. */
const RANGES = { min: 4, max: 5 };

/** Bools are bits of mask registers; operations under a mask cost nothing more. */
export const avx512: Isa = {
  bits: 512,
  registers: 32,
  bools: 'mask',

  compare(e, to, fn, dtype, a, b) {
    if (dtype === 'bool') compareBools(e, to, fn, a, b as View);
    else if (dtype === 'f32') e.m.writes('vcmpps', to, a, b, FLOAT_PREDICATES[fn]);
    else e.m.writes(dtype === 'u32' ? 'vpcmpud' : 'vpcmpd', to, a, b, INTEGER_PREDICATES[fn]);
  },

  select(e, to, condition, a, b) {
    // It chooses between its sources and keeps nothing of what it writes to.
    e.m.masked('vblendmps', condition, false, to, b, a);
  },

  nonZero(e, to, a) {
    e.m.writes('vptestmd', to, a, a);
  },

  bitsWhere(e, to, condition, bits) {
    e.m.masked('vmovaps', condition, true, to, { ...e.constant(bits), bits: to.bits });
  },

  boolConstant(e, to, value) {
    e.m.writes(value ? 'kxnorw' : 'kxorw', to, to, to);
  },

  boolNot(e, to, a) {
    e.m.writes('knotw', to, a);
  },

  boolBinary(e, to, fn, a, b) {
    const names = { and: 'kandw', or: 'korw', xor: 'kxorw', andn: 'kandnw' } as const;
    e.m.writes(names[fn], to, a, b);
  },

  boolSplat(e, to, a) {
    // Bit 0 as a sign, spread over all bits.
    const word = general(e.m.virtual('general'), 32);
    e.m.writes('kmovw', word, maskView(a));
    e.m.changes('shl', word, 31);
    e.m.changes('sar', word, 31);
    e.m.writes('kmovw', to, word);
  },

  boolLane(e, to, a, lane) {
    if (lane === 0) e.m.writes('kmovw', to, maskView(a));
    else e.m.writes('kshiftrw', to, maskView(a), lane);
  },

  boolPack(e, to, items) {
    const { m } = e;
    const sum = general(m.virtual('general'), 32);
    m.writes('mov', sum, 0);
    items.forEach((item, lane) => {
      const bit = general(m.virtual('general'), 32);
      m.writes('kmovw', bit, maskView(item));
      m.changes('and', bit, 1);
      if (lane > 0) m.changes('shl', bit, lane);
      m.changes('or', sum, bit);
    });
    m.writes('kmovw', to, sum);
  },

  boolShuffle(e, to, a, b, places) {
    const lanes = [a, b].map((x) => {
      const words = e.temporary(512);
      avx512.bitsWhere(e, words, x, -1);
      return words;
    });
    const mixed = e.temporary(512);
    avx512.shuffle(e, mixed, lanes[0], lanes[1], places);
    e.m.writes('vptestmd', to, mixed, mixed);
  },

  copyBool(m, to, from) {
    m.writes('kmovw', to, maskView(from));
  },

  floatMinMax(e, to, fn, a, b) {
    // Of a number and NaN the instruction takes the number.
    const [nan, chosen] = [e.m.virtual('mask'), e.temporary(to.bits)];
    e.m.writes('vcmpps', maskView(nan), a, b, UNORDERED);
    e.m.writes('vrangeps', chosen, a, b, RANGES[fn]);
    e.m.masked('vaddps', nan, false, chosen, a, b);
    e.m.writes('vmovaps', to, chosen);
  },

  floatToInt(e, to, a, unsigned) {
    const { m } = e;
    const bits = to.bits;
    const constant = (value: number) => ({ ...e.constant(value), bits });
    if (unsigned) {
      // NaN gives the second operand; what is too large gives all ones.
      const positive = e.temporary(bits);
      m.writes('vmaxps', positive, a, constant(0));
      m.writes('vcvttps2udq', to, positive);
      return;
    }
    const [ordered, large] = [m.virtual('mask'), m.virtual('mask')];
    const whole = e.temporary(bits);
    m.writes('vcmpps', maskView(ordered), a, a, 7);
    m.writes('vcmpps', maskView(large), a, constant(floatBits(2 ** 31)), NOT_BELOW);
    m.masked('vcvttps2dq', ordered, true, whole, a);
    m.writes('kandw', maskView(large), maskView(large), maskView(ordered));
    m.masked('vmovaps', large, false, whole, constant(0x7fffffff));
    m.writes('vmovaps', to, whole);
  },

  unsignedToFloat(e, to, a) {
    e.m.writes('vcvtudq2ps', to, a);
  },

  intDivide(e, to, unsigned, a, b) {
    const { m } = e;
    const halves = a.bits === 512 ? [0, 1] : [0];
    const quotients = halves.map((half) => {
      const [x, y] = [a, b].map((operand) => {
        const part = half === 0 ? operand : e.temporary(256);
        if (half === 1) m.writes('vextractf64x4', part, operand, 1);
        const doubles = e.temporary(Math.min(512, 2 * operand.bits));
        const narrow = { ...part, bits: Math.max(128, doubles.bits / 2) };
        m.writes(unsigned ? 'vcvtudq2pd' : 'vcvtdq2pd', doubles, narrow);
        return doubles;
      });
      const quotient = e.temporary(x.bits);
      m.writes('vdivpd', quotient, x, y);
      const whole = e.temporary(Math.max(128, x.bits / 2));
      m.writes(unsigned ? 'vcvttpd2udq' : 'vcvttpd2dq', whole, quotient);
      return whole;
    });
    let all = quotients[0];
    if (quotients[1]) {
      all = e.temporary(512);
      m.writes('vinsertf64x4', all, { ...quotients[0], bits: 512 }, quotients[1], 1);
    }
    const divides = m.virtual('mask');
    m.writes('vptestmd', maskView(divides), b, b);
    m.masked('vmovaps', divides, true, to, { ...all, bits: to.bits });
  },

  shuffle(e, to, a, b, places) {
    const { m } = e;
    const lanes = places.length;
    const [fromA, fromB] = [places.every((p) => p < lanes), places.every((p) => p >= lanes)];
    if (fromA || fromB) {
      m.writes('vpermps', to, e.table(places.map((p) => p % lanes)), fromA ? a : b);
      return;
    }
    const index = e.temporary(to.bits);
    m.writes('vmovaps', index, e.table(places));
    m.changes('vpermi2ps', index, a, b);
    m.writes('vmovaps', to, index);
  },

  lane(e, to, a, lane) {
    const quarter = Math.floor(lane / 4);
    let part: View = { ...a, bits: 128 };
    if (quarter > 0) {
      part = e.temporary(128);
      e.m.writes('vextractf32x4', part, a, quarter);
    }
    if (lane % 4 === 0) e.m.writes('vmovaps', { ...to, bits: 128 }, part);
    else e.m.writes('vpermilps', { ...to, bits: 128 }, part, lane % 4);
  },

  byteDot(e, sum, pairs) {
    const { m } = e;
    if (e.features.vnni) {
      for (const [a, b] of pairs) m.changes('vpdpbusd', sum, e.view(b), e.operand(a));
    } else byteDotByPairs(e, sum, pairs);
  },

  laneMask(e, mask, lanes) {
    const parts = mask.map((condition) => conditionMask(e, condition, lanes));
    return parts.reduce((all, part) => {
      const both = e.m.virtual('mask');
      e.m.writes('kandw', maskView(both), maskView(all), maskView(part));
      return both;
    });
  },

  loadMasked(e, to, load, lanes) {
    const { buffer, index, step } = load;
    const { m } = e;
    const isWord = DTYPES[buffer.dtype].bytes === 4;
    if (step !== 1) {
      if (isWord) avx512.gather(e, to, buffer, index, step, lanes);
      else loadWhere(e, to, load);
      return;
    }
    const from = e.address(buffer, index);
    if (isWord) m.masked('vmovups', lanes, true, to, from);
    else if (buffer.dtype === 'f16') m.masked('vcvtph2ps', lanes, true, to, from);
    else m.masked(extension(buffer), lanes, true, to, from);
  },

  storeMasked(e, store, value, lanes) {
    const { buffer, index } = store;
    const { m } = e;
    const { bytes } = DTYPES[buffer.dtype];
    if (buffer.dtype === 'f16') {
      const halves = toHalves(e, value);
      m.masked('vmovdqu16', lanes, false, e.address(buffer, index), halves);
      return;
    }
    const name = bytes === 4 ? 'vmovups' : bytes === 2 ? 'vpmovdw' : 'vpmovdb';
    m.masked(name, lanes, false, e.address(buffer, index), value);
  },

  gather(e, to, buffer, index, step, lanes) {
    const { m } = e;
    const places = e.table(Array.from({ length: 16 }, (_, lane) => lane * step));
    const all = m.virtual('mask');
    if (lanes) m.writes('kmovw', maskView(all), maskView(lanes));
    else m.writes('kxnorw', maskView(all), maskView(all), maskView(all));
    const result = e.temporary(to.bits);
    m.writes('vxorps', result, result, result);
    const from = e.address(buffer, index, { lanes: { ...places, bits: to.bits }, scale: 4 });
    // The instruction clears its mask.
    m.masked('vgatherdps', all, false, result, from);
    m.writes('vmovaps', to, result);
  },

  packed(e, lanes, bytes) {
    const to = e.temporary(Math.max(128, (lanes.bits * bytes) / 4));
    e.m.writes(bytes === 1 ? 'vpmovdb' : 'vpmovdw', to, lanes);
    return to;
  },

  storePacked(e, packed, _count, _bytes, to) {
    e.m.reads('vmovups', to, packed);
  },
};

function compareBools(e: Emitter, to: View, fn: CompareFn, a: View, b: View): void {
  const { m } = e;
  switch (fn) {
    case 'eq':
      m.writes('kxnorw', to, a, b);
      return;
    case 'ne':
      m.writes('kxorw', to, a, b);
      return;
    case 'lt':
      m.writes('kandnw', to, a, b);
      return;
    case 'le': {
      const above = m.virtual('mask');
      m.writes('kandnw', maskView(above), b, a);
      m.writes('knotw', to, maskView(above));
      return;
    }
    default:
      fn satisfies never;
  }
}

/** An operand for an instruction that cannot repeat an element of memory. */
function repeated(e: Emitter, operand: View | Place, bits: number): View | Place {
  if (operand.kind === 'view' || !operand.broadcast) return operand;
  const all = e.temporary(bits);
  e.m.writes('vbroadcastss', all, { ...operand, broadcast: false });
  return all;
}

/** Sums of two products of bytes fit in 16 bits, as the verifier has seen. */
function byteDotByPairs(e: Emitter, sum: View, pairs: readonly (readonly [Value, Value])[]): void {
  const { m } = e;
  for (const [a, b] of pairs) {
    const [products, words] = [e.temporary(sum.bits), e.temporary(sum.bits)];
    m.writes('vpmaddubsw', products, e.view(b), repeated(e, e.operand(a), sum.bits));
    m.writes('vpmaddwd', words, products, { ...e.constant(0x00010001), bits: sum.bits });
    m.changes('vpaddd', sum, sum, words);
  }
}

/** The lanes of one condition. */
function conditionMask(e: Emitter, condition: Index, lanes: number): Virtual {
  const { m } = e;
  const { base, step } = laneCondition(condition);
  const result = m.virtual('mask');
  if (step === -1) {
    const count = lanesLeft(e, base, lanes);
    const word = general(m.virtual('general'), 32);
    if (typeof count === 'number') m.writes('mov', word, 2 ** count - 1);
    else {
      const ones = general(m.virtual('general'), 32);
      m.writes('mov', ones, -1);
      m.writes('bzhi', word, ones, general(count, 32));
    }
    m.writes('kmovw', maskView(result), word);
    return result;
  }
  const [first, values] = [e.temporary(512), e.temporary(512)];
  m.writes('vpbroadcastd', first, general(e.index(base), 32));
  m.writes('vpaddd', values, first, e.table(Array.from({ length: 16 }, (_, l) => l * step)));
  m.writes('vpcmpd', maskView(result), values, e.constant(0), NOT_BELOW);
  return result;
}
