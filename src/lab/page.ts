import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { barChart, lineChart } from '../charts/index.ts';
import type { Row } from './experiment.ts';
import type { Report } from './harness.ts';

/** How a row's verdict is written. */
export function verdict({ holds }: Row): string {
  if (holds === undefined) return '-';
  return holds ? 'yes' : 'no';
}

/** The page of a result: claim, setting, table, figure, command. */
export function pageOf(report: Report): string {
  const { experiment, seeds, quick, rows, notes, chart, seconds } = report;
  const { name, title, paper, claim, setting } = experiment;
  const flags = [
    ...(seeds.length === experiment.seeds ? [] : [`--seeds ${seeds.length}`]),
    ...(quick ? ['--quick'] : []),
  ];
  const cell = (text: string) => text.replaceAll('|', '\\|');
  const lines = [
    `# ${title}`,
    '',
    `${paper}`,
    '',
    ...(quick
      ? ['**A quick run: it shows that the experiment runs, and proves nothing.**', '']
      : []),
    '## Claim',
    '',
    claim,
    '',
    '## Setting',
    '',
    ...setting.map((line) => `- ${line}`),
    `- Seeds: ${seeds.join(', ')}.`,
    '',
    '## Result',
    '',
    '| | paper | ours | holds |',
    '|---|---|---|---|',
    ...rows.map((row) => {
      return `| ${[row.what, row.paper, row.ours, verdict(row)].map(cell).join(' | ')} |`;
    }),
    '',
    ...notes.flatMap(({ text }) => [text, '']),
    ...(chart ? [`![${chart.title}](${name}.svg)`, ''] : []),
    '## Command',
    '',
    '```sh',
    ['tersor lab', name, '--data DIR', ...flags].join(' '),
    '```',
    '',
    `The run took ${Math.round(seconds)} s.`,
    '',
  ];
  return lines.join('\n');
}

/** Writes NAME.md and, where there is a figure, NAME.svg; gives their paths. */
export async function writePage(report: Report, folder: string): Promise<string[]> {
  const { experiment, chart } = report;
  await mkdir(folder, { recursive: true });
  const page = join(folder, `${experiment.name}.md`);
  await writeFile(page, pageOf(report));
  if (!chart) return [page];
  const picture = join(folder, `${experiment.name}.svg`);
  await writeFile(picture, 'bars' in chart ? await barChart(chart) : await lineChart(chart));
  return [page, picture];
}
