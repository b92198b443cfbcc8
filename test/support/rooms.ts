/**
 * The rooms of src/ from the bottom up. A file may import from its own room and from any row below
 * its room's; rooms of one row do not know each other. src/index.ts and src/browser.ts stand above them all.
 */
export const ROOM_ORDER: readonly (readonly string[])[] = [
  ['base'],
  ['ir'],
  ['asm'],
  ['device'],
  ['compile'],
  ['tensor'],
  ['charts', 'io', 'nn', 'optim'],
  ['models'],
  ['data', 'scaling'],
  ['train'],
  ['evaluate'],
  ['parallel'],
  ['compress'],
  ['generate'],
  ['lab', 'serve'],
  ['bench'],
  ['cli', 'web'],
];

/** Folders that may not import a room although it lies below theirs: [folder, room]. */
export const FORBIDDEN: readonly (readonly [string, string])[] = [
  // What is emitted must run on any device, so the emitters know none.
  ['compile/emit', 'device'],
];

/** The files at the top of src/, which import from every room and which no room imports. */
export const TOPS: readonly string[] = ['index.ts', 'browser.ts'];

/** Row of a room counted from the bottom, or -1 where there is no such room. */
export function rowOf(room: string): number {
  return ROOM_ORDER.findIndex((row) => row.includes(room));
}

/** Room of a file given by its path below src/; '' for a file directly in src/. */
export function roomOf(path: string): string {
  const slash = path.indexOf('/');
  return slash < 0 ? '' : path.slice(0, slash);
}

/**
 * Says why `from` may not import `to` (paths below src/, '/' between their parts), or undefined
 * where it may.
 */
export function objection(from: string, to: string): string | undefined {
  const here = roomOf(from);
  const there = roomOf(to);
  if (TOPS.includes(to) && !TOPS.includes(from)) return 'nothing imports the top';
  if (TOPS.includes(from) || here === there) return undefined;
  if (rowOf(here) < 0) return `no room '${here}' in the order`;
  if (rowOf(there) < 0) return `no room '${there}' in the order`;
  if (rowOf(there) > rowOf(here)) return `${there} lies above ${here}`;
  if (rowOf(there) === rowOf(here)) return `${there} and ${here} are neighbours`;
  for (const [folder, room] of FORBIDDEN) {
    if (from.startsWith(`${folder}/`) && room === there) return `${folder} must not know ${room}`;
  }
  return undefined;
}
