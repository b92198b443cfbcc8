import { verdictText } from './bars.ts';
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
  'bars',
  'more',
] as const;
type Column = (typeof COLUMNS)[number];
/** Columns of numbers stand at the right. */
const NUMBERS: ReadonlySet<string> = new Set(['threads', 'value', 'min', 'limit', 'of limit']);

function cells(m: Measurement): Record<Column, string> {
  const list = (values: Readonly<Record<string, number>> = {}) =>
    Object.entries(values)
      .map(([name, value]) => `${name} ${value}`)
      .join(', ');
  return {
    bench: m.bench,
    case: m.case,
    device: m.device,
    threads: String(m.threads),
    value: String(m.value),
    min: String(m.min),
    unit: m.unit,
    limit: m.limit === undefined ? '' : String(m.limit),
    'of limit': m.ofLimit === undefined ? '' : `${Math.round(m.ofLimit * 100)} %`,
    peers: list(m.peers),
    bars: (m.bars ?? []).map(verdictText).join('; '),
    more: list(m.more),
  };
}

/** The columns and the rows below them; `bars` and `more` only where a measurement has them. */
function tableOf(measurements: readonly Measurement[]) {
  const columns = COLUMNS.filter((name) => {
    return (name !== 'bars' && name !== 'more') || measurements.some((m) => m[name]);
  });
  const rows = measurements.map(cells).map((row) => columns.map((name) => row[name]));
  return { columns, rows };
}

/** Measurements as lines of text with aligned columns. */
export function textTable(measurements: readonly Measurement[]): string {
  const { columns, rows } = tableOf(measurements);
  const all: readonly (readonly string[])[] = [columns, ...rows];
  const widths = columns.map((_, c) => Math.max(...all.map((row) => row[c].length)));
  const lines = all.map((row) =>
    row.map((cell, c) => aligned(cell, columns[c], widths[c])).join('  '),
  );
  return lines.map((line) => `${line.trimEnd()}\n`).join('');
}

/** Measurements as a table in Markdown. */
export function markdownTable(measurements: readonly Measurement[]): string {
  const { columns, rows } = tableOf(measurements);
  const rule = columns.map((name) => (NUMBERS.has(name) ? '---:' : '---'));
  const line = (row: readonly string[]) => `| ${row.join(' | ')} |\n`;
  return [line(columns), line(rule), ...rows.map(line)].join('');
}

function aligned(cell: string, column: Column, width: number): string {
  return NUMBERS.has(column) ? cell.padStart(width) : cell.padEnd(width);
}
