import { describe, expect, it } from 'vitest';
import { wholeTable } from './cases.ts';
import { disassemble, listed, normalized, objdumpIsMissing } from './objdump.ts';

const title = objdumpIsMissing ? 'x64 (skipped: objdump is not installed)' : 'x64 and objdump';

describe.skipIf(objdumpIsMissing)(title, () => {
  it('reads from the bytes of every form what the listing says', () => {
    const { code, cases } = wholeTable();
    const theirs = disassemble(code.bytes());
    const ours = listed(code.text());
    expect(ours.size).toBe(cases.length);
    const differences: string[] = [];
    for (const [offset, line] of ours) {
      const wanted = normalized(line, line);
      const read = normalized(theirs.get(offset) ?? '(inside an instruction)', line);
      if (wanted !== read) differences.push(`${offset.toString(16)}: ${wanted} | ${read}`);
    }
    expect(differences).toEqual([]);
    // Nothing is read where no instruction was written.
    expect([...theirs.keys()].filter((offset) => !ours.has(offset))).toEqual([]);
  });
});
