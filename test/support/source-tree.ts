import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findImports } from './imports.ts';

/** The repository's folder. */
export const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** A relative import, resolved: both ends as paths below src/ with '/' between their parts. */
export interface Edge {
  from: string;
  to: string;
  line: number;
}

/** Files below `folder` (any depth), as sorted paths relative to it with '/' between the parts. */
export function filesBelow(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .map((path) => path.split(sep).join('/'))
    .sort();
}

/** What a folder of sources imports: relative imports as edges, the others by specifier. */
export interface ImportGraph {
  files: string[];
  edges: Edge[];
  packages: { from: string; specifier: string; line: number }[];
}

/** Reads every import in the .ts files below `folder`. */
export function readImportGraph(folder: string): ImportGraph {
  const files = filesBelow(folder).filter((path) => path.endsWith('.ts'));
  const graph: ImportGraph = { files, edges: [], packages: [] };
  for (const from of files) {
    for (const { specifier, line } of findImports(readFileSync(join(folder, from), 'utf8'))) {
      if (/^\.{1,2}\//.test(specifier)) {
        const to = posix.join(posix.dirname(from), specifier);
        graph.edges.push({ from, to, line });
      } else graph.packages.push({ from, specifier, line });
    }
  }
  return graph;
}

/**
 * The import cycles, one for each group of files that reach each other: the files of a shortest way
 * round, starting and ending with the same file. Empty where there is none.
 */
export function findCycles(edges: readonly Edge[]): string[][] {
  const targets = new Map<string, string[]>();
  for (const { from, to } of edges) {
    const known = targets.get(from);
    if (known) known.push(to);
    else targets.set(from, [to]);
  }
  const cycles: string[][] = [];
  const reported = new Set<string>();
  for (const start of [...targets.keys()].sort()) {
    if (reported.has(start)) continue;
    const way = wayRound(start, targets);
    if (way === undefined) continue;
    if (!way.some((file) => reported.has(file))) cycles.push(way);
    for (const file of way) reported.add(file);
  }
  return cycles;
}

/** Breadth first from `start` until an edge leads back to it. */
function wayRound(start: string, targets: ReadonlyMap<string, string[]>): string[] | undefined {
  const cameFrom = new Map<string, string>();
  const queue = [start];
  for (const file of queue) {
    for (const target of targets.get(file) ?? []) {
      if (target === start) {
        const way = [start];
        for (let at = file; at !== start; at = cameFrom.get(at)!) way.unshift(at);
        return [start, ...way];
      }
      if (cameFrom.has(target)) continue;
      cameFrom.set(target, file);
      queue.push(target);
    }
  }
  return undefined;
}
