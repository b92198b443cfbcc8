/** Conditions by the number that stands in the opcode; b, ae, be, a are those of unsigned numbers. */
export const CONDITIONS = {
  o: 0,
  no: 1,
  b: 2,
  ae: 3,
  e: 4,
  ne: 5,
  be: 6,
  a: 7,
  s: 8,
  ns: 9,
  p: 10,
  np: 11,
  l: 12,
  ge: 13,
  le: 14,
  g: 15,
  c: 2,
  nc: 3,
  z: 4,
  nz: 5,
} as const;

export type Condition = keyof typeof CONDITIONS;
