import { cpus } from 'node:os';
import { type Clock, WALL } from './clock.ts';
import type { Measurement } from './measurement.ts';
import { markdownTable } from './table.ts';

const START = '<!-- results: written by npm run bench -- all --write-docs -->';
const END = '<!-- end of results -->';

/** Where the figures come from: processor, engine, day, and the clock if it is no usual one. */
export function machine(clock: Clock = WALL): string {
  const processors = cpus();
  const model = processors[0]?.model.trim() ?? 'an unknown processor';
  const day = new Date().toISOString().slice(0, 10);
  const { node, v8 } = process.versions;
  const time =
    clock === WALL ? '' : '; processor time of one thread, the machine being busy otherwise';
  const system = `${process.platform} ${process.arch}`;
  return `${model}, ${processors.length} cores, ${system}; Node ${node}, V8 ${v8}; ${day}${time}.`;
}

/** The document with its results replaced. */
export function withResults(
  document: string,
  results: readonly Measurement[],
  where = machine(),
): string {
  const start = document.indexOf(START);
  const end = document.indexOf(END);
  if (start < 0 || end < start) {
    throw new Error(`the document has no ${JSON.stringify(START)} before ${JSON.stringify(END)}`);
  }
  const benches = [...new Set(results.map((m) => m.bench))];
  const tables = benches.map((bench) => {
    const rows = results.filter((m) => m.bench === bench);
    return `### ${bench}\n\n${markdownTable(rows)}`;
  });
  const head = document.slice(0, start + START.length);
  return `${head}\n\n${[`${where}\n`, ...tables].join('\n')}\n${document.slice(end)}`;
}
