import type { Row } from '../form.ts';

type Width = 'b' | 'w' | 'd' | 'q';
type ByWidth<N extends string> = Record<`${N}${Width}`, string>;

/** An operation on masks of 8, 16, 32 and 64 bits: prefix and W tell them apart. */
function byWidth<N extends string>(name: N, operands: string, opcode: string): ByWidth<N> {
  return {
    [`${name}b`]: `${operands} : vex.66.0f ${opcode}`,
    [`${name}w`]: `${operands} : vex.0f ${opcode}`,
    [`${name}d`]: `${operands} : vex.66.0f.w1 ${opcode}`,
    [`${name}q`]: `${operands} : vex.0f.w1 ${opcode}`,
  } as ByWidth<N>;
}

function shift<N extends string>(name: N, narrow: string, wide: string): ByWidth<N> {
  return {
    [`${name}b`]: `k k i8 : vex.66.0f3a ${narrow}`,
    [`${name}w`]: `k k i8 : vex.66.0f3a.w1 ${narrow}`,
    [`${name}d`]: `k k i8 : vex.66.0f3a ${wide}`,
    [`${name}q`]: `k k i8 : vex.66.0f3a.w1 ${wide}`,
  } as ByWidth<N>;
}

/** Mask registers, and vectors made of them. */
export const MASK = {
  kmovb: [
    'k k/m : vex.66.0f 90',
    'm k : vex.66.0f 91 mr',
    'k r32 : vex.66.0f 92',
    'r32 k : vex.66.0f 93',
  ],
  kmovw: ['k k/m : vex.0f 90', 'm k : vex.0f 91 mr', 'k r32 : vex.0f 92', 'r32 k : vex.0f 93'],
  kmovd: [
    'k k/m : vex.66.0f.w1 90',
    'm k : vex.66.0f.w1 91 mr',
    'k r32 : vex.f2.0f 92',
    'r32 k : vex.f2.0f 93',
  ],
  kmovq: [
    'k k/m : vex.0f.w1 90',
    'm k : vex.0f.w1 91 mr',
    'k r64 : vex.f2.0f.w1 92',
    'r64 k : vex.f2.0f.w1 93',
  ],
  ...byWidth('kand', 'k k k', '41 l1'),
  ...byWidth('kandn', 'k k k', '42 l1'),
  ...byWidth('knot', 'k k', '44'),
  ...byWidth('kor', 'k k k', '45 l1'),
  ...byWidth('kxnor', 'k k k', '46 l1'),
  ...byWidth('kxor', 'k k k', '47 l1'),
  ...byWidth('kadd', 'k k k', '4A l1'),
  ...byWidth('kortest', 'k k', '98'),
  ...byWidth('ktest', 'k k', '99'),
  ...shift('kshiftr', '30', '31'),
  ...shift('kshiftl', '32', '33'),
  kunpckbw: 'k k k : vex.66.0f 4B l1',
  kunpckwd: 'k k k : vex.0f 4B l1',
  kunpckdq: 'k k k : vex.0f.w1 4B l1',

  vpmovm2b: 'V k : evex.f3.0f38 28 nomask',
  vpmovm2w: 'V k : evex.f3.0f38.w1 28 nomask',
  vpmovm2d: 'V k : evex.f3.0f38 38 nomask',
  vpmovm2q: 'V k : evex.f3.0f38.w1 38 nomask',
  vpmovb2m: 'k V : evex.f3.0f38 29 nomask',
  vpmovw2m: 'k V : evex.f3.0f38.w1 29 nomask',
  vpmovd2m: 'k V : evex.f3.0f38 39 nomask',
  vpmovq2m: 'k V : evex.f3.0f38.w1 39 nomask',
} as const satisfies Record<string, Row>;
