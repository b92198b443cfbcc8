import type { Row } from '../form.ts';

/** Products of tiles. The index of a tile's address is the distance of its rows. */
export const AMX = {
  ldtilecfg: 'm : vex.0f38 49/0',
  sttilecfg: 'm : vex.66.0f38 49/0',
  tilerelease: ': vex.0f38 49 =C0',
  tilezero: 't : vex.f2.0f38 49 r',
  tileloadd: 't m : vex.f2.0f38 4B sib',
  tileloaddt1: 't m : vex.66.0f38 4B sib',
  tilestored: 'm t : vex.f3.0f38 4B mr sib',
  tdpbf16ps: 't t t : vex.f3.0f38 5C rmv',
  tdpbssd: 't t t : vex.f2.0f38 5E rmv',
  tdpbsud: 't t t : vex.f3.0f38 5E rmv',
  tdpbusd: 't t t : vex.66.0f38 5E rmv',
  tdpbuud: 't t t : vex.0f38 5E rmv',
} as const satisfies Record<string, Row>;
