import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readBreadcrumb } from '../../src/device/index.ts';

/** A batch of cases for a process of its own. */
export interface Batch {
  readonly kind: string;
  readonly seed: number;
  readonly cases: number;
  readonly seconds: number;
}

/** A case that takes longer hangs; it is looked at so often. */
const [PATIENCE, LOOK] = [180_000, 5000];

interface End {
  readonly code: number | null;
  /** Why the process was ended, where it did not end itself. */
  readonly crash: string | undefined;
}

/** Runs the fuzzer in a process that may crash; `file` has the number of its present case. */
async function run(
  args: readonly string[],
  file: string,
  environment: Record<string, string>,
): Promise<End> {
  writeFileSync(file, '');
  const child = spawn(
    process.execPath,
    [new URL('main.ts', import.meta.url).pathname, ...args, '--worker', file],
    { stdio: 'inherit', env: { ...process.env, ...environment } },
  );
  let hung = false;
  let quiet = 0;
  let last = 0;
  // Counted here, not by the clock: whoever stops both processes for a while stops the count, too.
  const watch = setInterval(() => {
    const { mtimeMs } = statSync(file);
    quiet = mtimeMs === last ? quiet + LOOK : 0;
    last = mtimeMs;
    if (quiet < PATIENCE) return;
    hung = true;
    child.kill('SIGKILL');
  }, LOOK);
  const end = await new Promise<End>((resolve) => {
    child.on('exit', (code, signal) => {
      const crash = hung ? 'no end after three minutes' : (signal ?? undefined);
      resolve({ code, crash });
    });
  });
  clearInterval(watch);
  return end;
}

/**
 * Runs a batch. A crash is reported with the kernel that ran and the command that replays it.
 *
 * @returns whether all of it is well
 */
export async function supervise(
  { kind, seed, cases, seconds }: Batch,
  environment: Record<string, string>,
): Promise<boolean> {
  const folder = mkdtempSync(join(tmpdir(), 'tersor-fuzz-'));
  try {
    const args = ['--device', 'native', '--kind', kind, '--seed', String(seed)];
    const file = join(folder, 'case');
    const batch = [...args, '--cases', String(cases), '--seconds', String(seconds)];
    const { code, crash } = await run(batch, file, environment);
    if (crash === undefined) return code === 0;
    const path = readFileSync(file, 'utf8').trim();
    const replay = [...args, '--path', path];
    const crumbs = join(folder, 'kernel');
    const again = await run(replay, file, { ...environment, TERSOR_BREADCRUMB: crumbs });
    const kernel = again.crash === undefined ? 'a kernel, but not again' : readBreadcrumb(crumbs);
    const isa = environment.TERSOR_ISA ? ` --isa ${environment.TERSOR_ISA}` : '';
    console.error(
      `${kind}: ${crash} in ${kernel}\n\nReplay: npm run fuzz -- ${replay.join(' ')}${isa}`,
    );
    return false;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
