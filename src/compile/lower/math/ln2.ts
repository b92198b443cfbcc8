/** ln 2 = HI + LO, HI with 15 bits: an integer of 9 bits times HI is exact. */
export const LN2_HI = 22713 / 2 ** 15;
export const LN2_LO = Math.LN2 - LN2_HI;
