/** Bytes of a cache line: what processors read at a time, and what a prefetch asks for. */
export const LINE_BYTES = 64;
/** Words of 32 bits in it. */
export const LINE_WORDS = LINE_BYTES / 4;
