// Writes golden.json anew. Only after the listing of the whole table agrees with objdump:
// `npx vitest run test/asm/x64/objdump.test.ts && node test/asm/x64/write-golden.ts`.
import { writeFileSync } from 'node:fs';
import { goldenLines } from './cases.ts';

const target = new URL('golden.json', import.meta.url);
writeFileSync(target, `${JSON.stringify(goldenLines(), undefined, 2)}\n`);
