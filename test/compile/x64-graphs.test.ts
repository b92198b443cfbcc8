import * as fc from 'fast-check';
import { describe, it } from 'vitest';
import { KINDS } from '../fuzz/kinds.ts';
import { WITHOUT_NATIVE } from '../support/device-names.ts';

/** Cases of each kind that a test has time for. */
const CASES = {
  graphs: 60,
  typed: 60,
  floats: 40,
  packed: 25,
  products: 25,
  attention: 12,
} as const;

describe.skipIf(WITHOUT_NATIVE)('random programs as x86-64 code', () => {
  it.each(Object.entries(CASES))(
    '%s give the bits of the kernel interpreter, by any instructions and on two threads',
    async (kind, numRuns) => {
      await fc.assert(KINDS.native[kind](), { numRuns });
    },
  );
});
