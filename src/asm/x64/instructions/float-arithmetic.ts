import type { Row } from '../form.ts';

type Suffix = 'ps' | 'pd' | 'ss' | 'sd';
type Four<N extends string> = Record<`${N}${Suffix}`, string>;

/** A basic operation as ps, pd, ss and sd: the prefix tells them apart. */
function four<N extends string>(name: N, opcode: string): Four<N> {
  return {
    [`${name}ps`]: `V V V/m : vex+evex.0f ${opcode} full`,
    [`${name}pd`]: `V V V/m : vex+evex.66.0f.w01 ${opcode} full`,
    [`${name}ss`]: `x x x/m : vex+evex.f3.0f ${opcode} n4`,
    [`${name}sd`]: `x x x/m : vex+evex.f2.0f.w01 ${opcode} n8`,
  } as Four<N>;
}

type Fused<N extends string> = Four<`${N}${'132' | '213' | '231'}`>;

/** A fused multiply-add in its three orders of operands, from the opcode of 132ps. */
function fused<N extends string>(name: N, opcode: number): Fused<N> {
  const rows: Record<string, string> = {};
  for (const [i, order] of ['132', '213', '231'].entries()) {
    const packed = (opcode + i * 16).toString(16);
    const scalar = (opcode + i * 16 + 1).toString(16);
    rows[`${name}${order}ps`] = `V V V/m : vex+evex.66.0f38 ${packed} full`;
    rows[`${name}${order}pd`] = `V V V/m : vex+evex.66.0f38.w1 ${packed} full`;
    rows[`${name}${order}ss`] = `x x x/m : vex+evex.66.0f38 ${scalar} n4`;
    rows[`${name}${order}sd`] = `x x x/m : vex+evex.66.0f38.w1 ${scalar} n8`;
  }
  return rows as Fused<N>;
}

/** Arithmetic and conversions of floats, one and many. */
export const FLOAT_ARITHMETIC = {
  ...four('vadd', '58'),
  ...four('vmul', '59'),
  ...four('vsub', '5C'),
  ...four('vmin', '5D'),
  ...four('vdiv', '5E'),
  ...four('vmax', '5F'),
  ...fused('vfmadd', 0x98),
  ...fused('vfmsub', 0x9a),
  ...fused('vfnmadd', 0x9c),
  ...fused('vfnmsub', 0x9e),

  vsqrtps: 'V V/m : vex+evex.0f 51 full',
  vsqrtpd: 'V V/m : vex+evex.66.0f.w01 51 full',
  vsqrtss: 'x x x/m : vex+evex.f3.0f 51 n4',
  vsqrtsd: 'x x x/m : vex+evex.f2.0f.w01 51 n8',
  vrsqrtps: 'V V/m : vex.0f 52',
  vrsqrtss: 'x x x/m : vex.f3.0f 52',
  vrcpps: 'V V/m : vex.0f 53',
  vrcpss: 'x x x/m : vex.f3.0f 53',
  vroundps: 'V V/m i8 : vex.66.0f3a 08',
  vroundpd: 'V V/m i8 : vex.66.0f3a 09',
  vroundss: 'x x x/m i8 : vex.66.0f3a 0A',
  vroundsd: 'x x x/m i8 : vex.66.0f3a 0B',
  vhaddps: 'V V V/m : vex.f2.0f 7C',

  vcomiss: 'x x/m : vex+evex.0f 2F n4 nomask',
  vcomisd: 'x x/m : vex+evex.66.0f.w01 2F n8 nomask',
  vucomiss: 'x x/m : vex+evex.0f 2E n4 nomask',
  vucomisd: 'x x/m : vex+evex.66.0f.w01 2E n8 nomask',
  // VEX answers with a vector of all ones or zeros, EVEX with a mask.
  vcmpps: ['V V V/m i8 : vex.0f C2', 'k V V/m i8 : evex.0f C2 full'],
  vcmppd: ['V V V/m i8 : vex.66.0f C2', 'k V V/m i8 : evex.66.0f.w1 C2 full'],
  vcmpss: ['x x x/m i8 : vex.f3.0f C2', 'k x x/m i8 : evex.f3.0f C2 n4'],
  vcmpsd: ['x x x/m i8 : vex.f2.0f C2', 'k x x/m i8 : evex.f2.0f.w1 C2 n8'],

  vcvtsi2ss: [
    'x x r32/m32! : vex+evex.f3.0f 2A n4 nomask',
    'x x r64/m64! : vex+evex.f3.0f.w1 2A n8 nomask',
  ],
  vcvtsi2sd: [
    'x x r32/m32! : vex+evex.f2.0f 2A n4 nomask',
    'x x r64/m64! : vex+evex.f2.0f.w1 2A n8 nomask',
  ],
  vcvtusi2ss: [
    'x x r32/m32! : evex.f3.0f 7B n4 nomask',
    'x x r64/m64! : evex.f3.0f.w1 7B n8 nomask',
  ],
  vcvtusi2sd: [
    'x x r32/m32! : evex.f2.0f 7B n4 nomask',
    'x x r64/m64! : evex.f2.0f.w1 7B n8 nomask',
  ],
  vcvtss2si: ['r32 x/m : vex+evex.f3.0f 2D n4 nomask', 'r64 x/m : vex+evex.f3.0f.w1 2D n4 nomask'],
  vcvtsd2si: ['r32 x/m : vex+evex.f2.0f 2D n8 nomask', 'r64 x/m : vex+evex.f2.0f.w1 2D n8 nomask'],
  vcvttss2si: ['r32 x/m : vex+evex.f3.0f 2C n4 nomask', 'r64 x/m : vex+evex.f3.0f.w1 2C n4 nomask'],
  vcvttsd2si: ['r32 x/m : vex+evex.f2.0f 2C n8 nomask', 'r64 x/m : vex+evex.f2.0f.w1 2C n8 nomask'],
  vcvttss2usi: ['r32 x/m : evex.f3.0f 78 n4 nomask', 'r64 x/m : evex.f3.0f.w1 78 n4 nomask'],
  vcvtss2sd: 'x x x/m : vex+evex.f3.0f 5A n4',
  vcvtsd2ss: 'x x x/m : vex+evex.f2.0f.w01 5A n8',

  vcvtdq2ps: 'V V/m : vex+evex.0f 5B full',
  vcvtps2dq: 'V V/m : vex+evex.66.0f 5B full',
  vcvttps2dq: 'V V/m : vex+evex.f3.0f 5B full',
  vcvtudq2ps: 'V V/m : evex.f2.0f 7A full',
  vcvtps2udq: 'V V/m : evex.0f 79 full',
  vcvttps2udq: 'V V/m : evex.0f 78 full',
  vcvtps2pd: 'V H/m : vex+evex.0f 5A half',
  // The size of what is narrowed from memory would not follow from a destination of 128 bits.
  vcvtpd2ps: ['y z/m : evex.66.0f.w1 5A full', 'H V : vex+evex.66.0f.w01 5A'],
  vcvtph2ps: 'V H/m : vex+evex.66.0f38 13 vl2',
  vcvtps2ph: 'H/m V i8 : vex+evex.66.0f3a 1D mr vl2',
} as const satisfies Record<string, Row>;
