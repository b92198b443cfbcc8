import type { Row } from '../form.ts';

/** Elements of 8 or 16 bits: no broadcast, and W does not matter. */
const small = (code: string) => `V V V/m : vex+evex.66.${code} vl`;
/** Elements of 32 bits. */
const d = (code: string) => `V V V/m : vex+evex.66.${code} full`;
/** Elements of 64 bits, by an opcode of their own: code is `map.w01 opcode`. */
const q = (code: string) => `V V V/m : vex+evex.66.${code} full`;

/** A shift by a count in an xmm register, and one by an immediate. */
const shift = (code: string, byImmediate: string, tuple: 'vl' | 'full', w: 'w0' | 'w01' = 'w0') => [
  `V V x/m : vex+evex.66.0f.${w} ${code} n16`,
  `V V i8 : vex.66.0f ${byImmediate} vm`,
  `V V/m i8 : evex.66.0f.${w === 'w01' ? 'w1' : 'w0'} ${byImmediate} vm ${tuple}`,
];

/** VEX answers with a vector, EVEX with a mask. */
const compare = (code: string, tuple: 'vl' | 'full', w: 'w0' | 'w1' = 'w0') => {
  const [map, opcode] = code.split(' ');
  return [`V V V/m : vex.66.${map} ${opcode}`, `k V V/m : evex.66.${map}.${w} ${opcode} ${tuple}`];
};

/** Arithmetic, bits, shifts and comparisons of integers that AVX2 has, most of them in EVEX too. */
export const INTEGER_ARITHMETIC = {
  vpaddb: small('0f FC'),
  vpaddw: small('0f FD'),
  vpaddd: d('0f FE'),
  vpaddq: q('0f.w01 D4'),
  vpaddsb: small('0f EC'),
  vpaddsw: small('0f ED'),
  vpaddusb: small('0f DC'),
  vpaddusw: small('0f DD'),
  vpsubb: small('0f F8'),
  vpsubw: small('0f F9'),
  vpsubd: d('0f FA'),
  vpsubq: q('0f.w01 FB'),
  vpsubsb: small('0f E8'),
  vpsubsw: small('0f E9'),
  vpsubusb: small('0f D8'),
  vpsubusw: small('0f D9'),
  vpavgb: small('0f E0'),
  vpavgw: small('0f E3'),
  vphaddd: 'V V V/m : vex.66.0f38 02',
  vpsadbw: 'V V V/m : vex+evex.66.0f F6 vl nomask',
  vpsignb: 'V V V/m : vex.66.0f38 08',
  vpsignw: 'V V V/m : vex.66.0f38 09',
  vpsignd: 'V V V/m : vex.66.0f38 0A',

  vpmullw: small('0f D5'),
  vpmulhw: small('0f E5'),
  vpmulhuw: small('0f E4'),
  vpmulhrsw: small('0f38 0B'),
  vpmulld: d('0f38 40'),
  vpmullq: 'V V V/m : evex.66.0f38.w1 40 full',
  vpmuludq: q('0f.w01 F4'),
  vpmuldq: q('0f38.w01 28'),
  vpmaddubsw: small('0f38 04'),
  vpmaddwd: small('0f F5'),
  // AVX-512 VNNI; the names with _vex are AVX-VNNI, which some processors have without AVX-512.
  vpdpbusd: 'V V V/m : evex.66.0f38 50 full',
  vpdpbusds: 'V V V/m : evex.66.0f38 51 full',
  vpdpwssd: 'V V V/m : evex.66.0f38 52 full',
  vpdpwssds: 'V V V/m : evex.66.0f38 53 full',
  vpdpbusd_vex: 'V V V/m : vex.66.0f38 50',
  vpdpbusds_vex: 'V V V/m : vex.66.0f38 51',
  vpdpwssd_vex: 'V V V/m : vex.66.0f38 52',
  vpdpwssds_vex: 'V V V/m : vex.66.0f38 53',

  vpminsb: small('0f38 38'),
  vpminsw: small('0f EA'),
  vpminsd: d('0f38 39'),
  vpminsq: 'V V V/m : evex.66.0f38.w1 39 full',
  vpminub: small('0f DA'),
  vpminuw: small('0f38 3A'),
  vpminud: d('0f38 3B'),
  vpminuq: 'V V V/m : evex.66.0f38.w1 3B full',
  vpmaxsb: small('0f38 3C'),
  vpmaxsw: small('0f EE'),
  vpmaxsd: d('0f38 3D'),
  vpmaxsq: 'V V V/m : evex.66.0f38.w1 3D full',
  vpmaxub: small('0f DE'),
  vpmaxuw: small('0f38 3E'),
  vpmaxud: d('0f38 3F'),
  vpmaxuq: 'V V V/m : evex.66.0f38.w1 3F full',
  vpabsb: 'V V/m : vex+evex.66.0f38 1C vl',
  vpabsw: 'V V/m : vex+evex.66.0f38 1D vl',
  vpabsd: 'V V/m : vex+evex.66.0f38 1E full',
  vpabsq: 'V V/m : evex.66.0f38.w1 1F full',

  // EVEX says how wide the elements of a mask are, so its names end with d or q.
  vpand: 'V V V/m : vex.66.0f DB',
  vpandn: 'V V V/m : vex.66.0f DF',
  vpor: 'V V V/m : vex.66.0f EB',
  vpxor: 'V V V/m : vex.66.0f EF',
  vpandd: 'V V V/m : evex.66.0f DB full',
  vpandq: 'V V V/m : evex.66.0f.w1 DB full',
  vpandnd: 'V V V/m : evex.66.0f DF full',
  vpandnq: 'V V V/m : evex.66.0f.w1 DF full',
  vpord: 'V V V/m : evex.66.0f EB full',
  vporq: 'V V V/m : evex.66.0f.w1 EB full',
  vpxord: 'V V V/m : evex.66.0f EF full',
  vpxorq: 'V V V/m : evex.66.0f.w1 EF full',
  vptest: 'V V/m : vex.66.0f38 17',

  vpsllw: shift('F1', '71/6', 'vl'),
  vpslld: shift('F2', '72/6', 'full'),
  vpsllq: shift('F3', '73/6', 'full', 'w01'),
  vpsrlw: shift('D1', '71/2', 'vl'),
  vpsrld: shift('D2', '72/2', 'full'),
  vpsrlq: shift('D3', '73/2', 'full', 'w01'),
  vpsraw: shift('E1', '71/4', 'vl'),
  vpsrad: shift('E2', '72/4', 'full'),
  vpsraq: ['V V x/m : evex.66.0f.w1 E2 n16', 'V V/m i8 : evex.66.0f.w1 72/4 vm full'],
  vpslldq: ['V V i8 : vex.66.0f 73/7 vm', 'V V/m i8 : evex.66.0f 73/7 vm vl nomask'],
  vpsrldq: ['V V i8 : vex.66.0f 73/3 vm', 'V V/m i8 : evex.66.0f 73/3 vm vl nomask'],
  vpsllvw: 'V V V/m : evex.66.0f38.w1 12 vl',
  vpsllvd: d('0f38 47'),
  vpsllvq: 'V V V/m : vex+evex.66.0f38.w1 47 full',
  vpsrlvw: 'V V V/m : evex.66.0f38.w1 10 vl',
  vpsrlvd: d('0f38 45'),
  vpsrlvq: 'V V V/m : vex+evex.66.0f38.w1 45 full',
  vpsravw: 'V V V/m : evex.66.0f38.w1 11 vl',
  vpsravd: d('0f38 46'),
  vpsravq: 'V V V/m : evex.66.0f38.w1 46 full',

  vpcmpeqb: compare('0f 74', 'vl'),
  vpcmpeqw: compare('0f 75', 'vl'),
  vpcmpeqd: compare('0f 76', 'full'),
  vpcmpeqq: compare('0f38 29', 'full', 'w1'),
  vpcmpgtb: compare('0f 64', 'vl'),
  vpcmpgtw: compare('0f 65', 'vl'),
  vpcmpgtd: compare('0f 66', 'full'),
  vpcmpgtq: compare('0f38 37', 'full', 'w1'),
} as const satisfies Record<string, Row>;
