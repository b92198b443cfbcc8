import type { Row } from '../form.ts';

/** Two sources, elements of 8 or 16 bits. */
const small = (code: string) => `V V V/m : vex+evex.66.${code} vl`;
/** Two sources, elements of 32 or 64 bits. */
const large = (code: string) => `V V V/m : vex+evex.66.${code} full`;

type Kind = '' | 's' | 'us';
type Ends = 'wb' | 'db' | 'dw' | 'qb' | 'qw' | 'qd';
type Narrowing = Record<`vpmov${Kind}${Ends}`, string>;

/** Integers made narrower by dropping bits, with signed and with unsigned saturation. */
function narrowing(): Narrowing {
  const rows: Record<string, string> = {};
  for (const [kind, high] of Object.entries({ '': 3, s: 2, us: 1 })) {
    rows[`vpmov${kind}wb`] = `H/m V : evex.f3.0f38 ${high}0 mr vl2`;
    rows[`vpmov${kind}db`] = `Q/m V : evex.f3.0f38 ${high}1 mr vl4`;
    rows[`vpmov${kind}qb`] = `E/m V : evex.f3.0f38 ${high}2 mr vl8`;
    rows[`vpmov${kind}dw`] = `H/m V : evex.f3.0f38 ${high}3 mr vl2`;
    rows[`vpmov${kind}qw`] = `Q/m V : evex.f3.0f38 ${high}4 mr vl4`;
    rows[`vpmov${kind}qd`] = `H/m V : evex.f3.0f38 ${high}5 mr vl2`;
  }
  return rows as Narrowing;
}

/** Loads, stores, permutations, widening and narrowing of integers. */
export const INTEGER_MOVEMENT = {
  vmovdqu: ['V V/m : vex.f3.0f 6F', 'm V : vex.f3.0f 7F mr'],
  vmovdqa: ['V V/m : vex.66.0f 6F', 'm V : vex.66.0f 7F mr'],
  vmovdqu8: ['V V/m : evex.f2.0f 6F vl', 'm V : evex.f2.0f 7F mr vl'],
  vmovdqu16: ['V V/m : evex.f2.0f.w1 6F vl', 'm V : evex.f2.0f.w1 7F mr vl'],
  vmovdqu32: ['V V/m : evex.f3.0f 6F vl', 'm V : evex.f3.0f 7F mr vl'],
  vmovdqu64: ['V V/m : evex.f3.0f.w1 6F vl', 'm V : evex.f3.0f.w1 7F mr vl'],
  vmovdqa32: ['V V/m : evex.66.0f 6F vl', 'm V : evex.66.0f 7F mr vl'],
  vmovdqa64: ['V V/m : evex.66.0f.w1 6F vl', 'm V : evex.66.0f.w1 7F mr vl'],
  vmovntdq: 'm V : vex+evex.66.0f E7 mr vl nomask',
  vmovntdqa: 'V m : vex+evex.66.0f38 2A vl nomask',
  vlddqu: 'V m : vex.f2.0f F0',
  vpmaskmovd: ['V V m : vex.66.0f38 8C', 'm V V : vex.66.0f38 8E mvr'],
  vpmaskmovq: ['V V m : vex.66.0f38.w1 8C', 'm V V : vex.66.0f38.w1 8E mvr'],
  vpmovmskb: 'r32 V : vex.66.0f D7',
  // VEX masks by the top bits of a vector and clears it, EVEX by a mask register.
  vpgatherdd: ['V vV V : vex.66.0f38 90 rmv', 'V vV : evex.66.0f38 90 n4 needmask'],
  vpscatterdd: 'vV V : evex.66.0f38 A0 mr n4 needmask',

  vpblendd: 'V V V/m i8 : vex.66.0f3a 02',
  vpblendw: 'V V V/m i8 : vex.66.0f3a 0E',
  vpblendvb: 'V V V/m V : vex.66.0f3a 4C',
  vpshufb: small('0f38 00'),
  vpshufd: 'V V/m i8 : vex+evex.66.0f 70 full',
  vpshuflw: 'V V/m i8 : vex+evex.f2.0f 70 vl',
  vpshufhw: 'V V/m i8 : vex+evex.f3.0f 70 vl',
  vpalignr: 'V V V/m i8 : vex+evex.66.0f3a 0F vl',
  vpermd: 'V V V/m : vex+evex.66.0f38 36 full 256+',
  vpermq: ['V V/m i8 : vex+evex.66.0f3a.w1 00 full 256+', 'V V V/m : evex.66.0f38.w1 36 full 256+'],
  vperm2i128: 'y y y/m i8 : vex.66.0f3a 46',
  vpunpcklbw: small('0f 60'),
  vpunpcklwd: small('0f 61'),
  vpunpckldq: large('0f 62'),
  vpunpcklqdq: large('0f.w01 6C'),
  vpunpckhbw: small('0f 68'),
  vpunpckhwd: small('0f 69'),
  vpunpckhdq: large('0f 6A'),
  vpunpckhqdq: large('0f.w01 6D'),
  vpacksswb: small('0f 63'),
  vpackuswb: small('0f 67'),
  vpackssdw: large('0f 6B'),
  vpackusdw: large('0f38 2B'),

  vpmovsxbw: 'V H/m : vex+evex.66.0f38 20 vl2',
  vpmovsxbd: 'V Q/m : vex+evex.66.0f38 21 vl4',
  vpmovsxbq: 'V E/m : vex+evex.66.0f38 22 vl8',
  vpmovsxwd: 'V H/m : vex+evex.66.0f38 23 vl2',
  vpmovsxwq: 'V Q/m : vex+evex.66.0f38 24 vl4',
  vpmovsxdq: 'V H/m : vex+evex.66.0f38 25 vl2',
  vpmovzxbw: 'V H/m : vex+evex.66.0f38 30 vl2',
  vpmovzxbd: 'V Q/m : vex+evex.66.0f38 31 vl4',
  vpmovzxbq: 'V E/m : vex+evex.66.0f38 32 vl8',
  vpmovzxwd: 'V H/m : vex+evex.66.0f38 33 vl2',
  vpmovzxwq: 'V Q/m : vex+evex.66.0f38 34 vl4',
  vpmovzxdq: 'V H/m : vex+evex.66.0f38 35 vl2',
  ...narrowing(),

  vpbroadcastb: ['V x/m : vex+evex.66.0f38 78 n1', 'V r32 : evex.66.0f38 7A'],
  vpbroadcastw: ['V x/m : vex+evex.66.0f38 79 n2', 'V r32 : evex.66.0f38 7B'],
  vpbroadcastd: ['V x/m : vex+evex.66.0f38 58 n4', 'V r32 : evex.66.0f38 7C'],
  vpbroadcastq: ['V x/m : vex+evex.66.0f38.w01 59 n8', 'V r64 : evex.66.0f38.w1 7C'],
  vbroadcasti128: 'y m : vex.66.0f38 5A',
  vextracti128: 'x/m y i8 : vex.66.0f3a 39 mr',
  vinserti128: 'y y x/m i8 : vex.66.0f3a 38',
  vpinsrb: 'x x r32/m i8 : vex+evex.66.0f3a 20 n1 nomask',
  vpinsrw: 'x x r32/m i8 : vex+evex.66.0f C4 n2 nomask',
  vpinsrd: 'x x r32/m i8 : vex+evex.66.0f3a 22 n4 nomask',
  vpinsrq: 'x x r64/m i8 : vex+evex.66.0f3a.w1 22 n8 nomask',
  vpextrb: 'r32/m x i8 : vex+evex.66.0f3a 14 mr n1 nomask',
  vpextrw: ['r32 x i8 : vex+evex.66.0f C5 nomask', 'm x i8 : vex+evex.66.0f3a 15 mr n2 nomask'],
  vpextrd: 'r32/m x i8 : vex+evex.66.0f3a 16 mr n4 nomask',
  vpextrq: 'r64/m x i8 : vex+evex.66.0f3a.w1 16 mr n8 nomask',
} as const satisfies Record<string, Row>;
