import { barChart } from '../charts/index.ts';
import type { CompressionReport } from './report.ts';
import { layerRows, summaryRows, verdict } from './report.ts';

/** A report as one HTML file that needs nothing else: tables, and a bar for each layer's error. */
export async function reportPage(report: CompressionReport): Promise<string> {
  const packed = report.layers.filter(({ stored }) => stored.startsWith('int'));
  const charts = [
    await barChart({
      title: 'Error of each packed layer',
      subtitle: '|W - packed W| / |W|, Frobenius norms',
      label: 'relative error',
      bars: packed.map(({ layer, relativeError, stored }) => {
        return { name: layer, value: relativeError, group: stored };
      }),
    }),
    await barChart({
      title: 'Size of each layer',
      label: 'kilobytes',
      bars: report.layers.flatMap(({ layer, bytesBefore, bytes }) => [
        { name: layer, value: bytesBefore / 1e3, group: 'before' },
        { name: layer, value: bytes / 1e3, group: 'after' },
      ]),
    }),
  ];
  const title = `${report.model}: ${report.scheme}`;
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title>
<style>${STYLE}</style>
<main>
<h1>${escapeHtml(title)}</h1>
<p>${escapeHtml(verdict(report))} ${escapeHtml(about(report))}</p>
${table(summaryRows(report))}
${charts.join('\n')}
<h2>Layers</h2>
${table(layerRows(report.layers))}
</main>
</html>
`;
}

function about({ method, activations, text }: CompressionReport): string {
  const measured = text === undefined ? '' : ` Perplexity on ${text}.`;
  return `Method: ${method}. Products compute with ${activations} activations.${measured}`;
}

function table([head = [], ...body]: readonly (readonly string[])[]): string {
  const row = (cells: readonly string[], tag: 'td' | 'th') =>
    `<tr>${cells.map((cell) => `<${tag}>${escapeHtml(cell)}</${tag}>`).join('')}</tr>`;
  const rows = body.map((cells) => row(cells, 'td')).join('\n');
  return `<div class="wide"><table>\n${row(head, 'th')}\n${rows}\n</table></div>`;
}

function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}

const STYLE = `
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 0; }
main { max-width: 60rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
svg { max-width: 100%; height: auto; display: block; margin: 1.5rem 0; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: 0.25rem 0.75rem; border-bottom: 1px solid #8884; }
th:first-child, td:first-child { text-align: left; }
`;
