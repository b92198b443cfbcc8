/**
 * What the groups of processes that this process lies in (Linux cgroups, by which containers are
 * limited) allow it. Both versions; the texts of files come in, so that tests can make them up.
 */

/** The text of a file, or undefined where there is none. */
export type ReadText = (path: string) => string | undefined;

interface Mount {
  /** The group that is seen at the mount's top. */
  readonly root: string;
  readonly point: string;
  /** Controllers of version 1; none: version 2. */
  readonly controllers: readonly string[];
}

/** The mounts of /proc/self/mountinfo that show groups. */
export function parseMounts(text: string): Mount[] {
  const mounts: Mount[] = [];
  for (const line of text.split('\n')) {
    const [before, after] = line.split(' - ');
    if (!after) continue;
    const [, , , root, point] = before.split(' ');
    const [type, , options = ''] = after.split(' ');
    if (type === 'cgroup2') mounts.push({ root, point, controllers: [] });
    else if (type === 'cgroup') mounts.push({ root, point, controllers: options.split(',') });
  }
  return mounts;
}

/** Lines of /proc/self/cgroup; no controllers: version 2. */
export function parseMembership(text: string): { controllers: string[]; path: string }[] {
  return text
    .split('\n')
    .map((line) => /^\d+:([^:]*):(.*)$/.exec(line))
    .filter((match) => match !== null)
    .map(([, controllers, path]) => ({
      controllers: controllers === '' ? [] : controllers.split(','),
      path,
    }));
}

/** Folders of a group and those above it, the process's own first. */
function foldersOf(read: ReadText, controller: string | undefined): string[] {
  const has = (controllers: readonly string[]) =>
    controller === undefined ? controllers.length === 0 : controllers.includes(controller);
  const mount = parseMounts(read('/proc/self/mountinfo') ?? '').find((m) => has(m.controllers));
  const own = parseMembership(read('/proc/self/cgroup') ?? '').find((m) => has(m.controllers));
  if (!mount || !own) return [];
  const { root, point } = mount;
  // Inside a container the path may be the host's, of which the mount shows a part.
  const inside = root !== '/' && own.path.startsWith(root) ? own.path.slice(root.length) : own.path;
  const parts = inside.split('/').filter((part) => part !== '');
  const folders: string[] = [];
  for (let n = parts.length; n >= 0; n--) folders.push([point, ...parts.slice(0, n)].join('/'));
  return folders;
}

/** Processors' worth of time a second that the groups give, or undefined: no limit. */
export function processorQuota(read: ReadText): number | undefined {
  const quotas: number[] = [];
  for (const folder of foldersOf(read, undefined)) {
    const [quota, period] = (read(`${folder}/cpu.max`) ?? '').trim().split(' ').map(Number);
    if (quota > 0 && period > 0) quotas.push(quota / period);
  }
  for (const folder of foldersOf(read, 'cpu')) {
    const quota = Number(read(`${folder}/cpu.cfs_quota_us`) ?? Number.NaN);
    const period = Number(read(`${folder}/cpu.cfs_period_us`) ?? Number.NaN);
    if (quota > 0 && period > 0) quotas.push(quota / period);
  }
  return quotas.length > 0 ? Math.min(...quotas) : undefined;
}

/** Bytes that the groups still let the process take, or undefined: no limit. */
export function memoryLeft(read: ReadText): number | undefined {
  const left: number[] = [];
  const add = (limit: string | undefined, usage: string | undefined, reclaimable: number) => {
    const bytes = Number((limit ?? '').trim() || Number.NaN);
    // Version 1 says "none" by the largest multiple of a page.
    if (!(bytes < 2 ** 60)) return;
    left.push(Math.max(0, bytes - Number(usage ?? 0) + reclaimable));
  };
  const stat = (folder: string, name: string) => {
    const line = new RegExp(`^${name} (\\d+)$`, 'm').exec(read(`${folder}/memory.stat`) ?? '');
    return Number(line?.[1] ?? 0);
  };
  for (const folder of foldersOf(read, undefined)) {
    const limit = read(`${folder}/memory.max`);
    // Pages of files that nobody uses now give way.
    add(limit, read(`${folder}/memory.current`), stat(folder, 'inactive_file'));
  }
  for (const folder of foldersOf(read, 'memory')) {
    const limit = read(`${folder}/memory.limit_in_bytes`);
    const usage = read(`${folder}/memory.usage_in_bytes`);
    add(limit, usage, stat(folder, 'total_inactive_file'));
  }
  return left.length > 0 ? Math.min(...left) : undefined;
}

/** Bytes that the system can give without swapping, of /proc/meminfo. */
export function parseAvailable(text: string): number | undefined {
  const line = /^MemAvailable:\s*(\d+) kB$/m.exec(text);
  return line ? Number(line[1]) * 1024 : undefined;
}

/** Bits that are set in a mask of processors. */
export function countProcessors(mask: Uint8Array): number {
  let count = 0;
  for (let byte of mask) for (; byte !== 0; byte &= byte - 1) count++;
  return count;
}

/** Bytes that this process may still take before something is killed for it. */
export function memoryAvailable(read: ReadText): number {
  const system = parseAvailable(read('/proc/meminfo') ?? '') ?? Number.POSITIVE_INFINITY;
  return Math.min(system, memoryLeft(read) ?? Number.POSITIVE_INFINITY);
}

/**
 * Threads by default: processors that the process may run on, and no more than the time that its
 * groups give is worth.
 *
 * @param affinity processors of the process's own mask, where it is known
 */
export function defaultThreads(
  available: number,
  affinity: number | undefined,
  quota: number | undefined,
): number {
  const limits = [available, affinity ?? available, quota ? Math.ceil(quota) : available];
  return Math.max(1, Math.min(...limits));
}
