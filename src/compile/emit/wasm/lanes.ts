/** Lanes of 32 bits in the vectors that WebAssembly has. */
export const LANES = 4;
