import type { Row } from '../form.ts';

/** Vectors of doubles, which hold integers of 32 bits exactly; the remainder of the x87 unit. */
export const DOUBLES = {
  vcvtdq2pd: ['x x/m : vex+evex.f3.0f E6 half', 'V H/m : vex+evex.f3.0f E6 256+ half'],
  vcvtudq2pd: ['x x/m : evex.f3.0f 7A half', 'V H/m : evex.f3.0f 7A 256+ half'],
  vcvttpd2dq: ['H V : vex+evex.66.0f.w01 E6'],
  vcvttpd2udq: ['H V : evex.0f.w1 78'],
  fld: ['m32! : legacy D9/0', 'm64! : legacy DD/0'],
  fstp: ['m32! : legacy D9/3', 'm64! : legacy DD/3'],
  fnstsw: 'm16! : legacy DD/7',
  fprem: ': legacy D9 =F8',
  fstp_st0: ': legacy DD =D8',
} as const satisfies Record<string, Row>;
