import type { Measurement } from './measurement.ts';

const COLUMNS = [
  'bench',
  'case',
  'device',
  'threads',
  'value',
  'min',
  'unit',
  'limit',
  'of limit',
  'peers',
] as const;
/** Columns of numbers stand at the right. */
const NUMBERS: ReadonlySet<string> = new Set(['threads', 'value', 'min', 'limit', 'of limit']);

function cells(m: Measurement): string[] {
  return [
    m.bench,
    m.case,
    m.device,
    String(m.threads),
    String(m.value),
    String(m.min),
    m.unit,
    m.limit === undefined ? '' : String(m.limit),
    m.ofLimit === undefined ? '' : `${Math.round(m.ofLimit * 100)} %`,
    Object.entries(m.peers)
      .map(([name, value]) => `${name} ${value}`)
      .join(', '),
  ];
}

/** Measurements as lines of text with aligned columns. */
export function textTable(measurements: readonly Measurement[]): string {
  const rows = [[...COLUMNS] as string[], ...measurements.map(cells)];
  const widths = COLUMNS.map((_, c) => Math.max(...rows.map((row) => row[c].length)));
  const lines = rows.map((row) => row.map((cell, c) => aligned(cell, c, widths[c])).join('  '));
  return lines.map((line) => `${line.trimEnd()}\n`).join('');
}

/** Measurements as a table in Markdown. */
export function markdownTable(measurements: readonly Measurement[]): string {
  const rows = [[...COLUMNS] as string[], ...measurements.map(cells)];
  const rule = COLUMNS.map((name) => (NUMBERS.has(name) ? '---:' : '---'));
  const line = (row: readonly string[]) => `| ${row.join(' | ')} |\n`;
  return [line(rows[0]), line(rule), ...rows.slice(1).map(line)].join('');
}

function aligned(cell: string, column: number, width: number): string {
  return NUMBERS.has(COLUMNS[column]) ? cell.padStart(width) : cell.padEnd(width);
}
