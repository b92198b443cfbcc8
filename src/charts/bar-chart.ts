import { AT_CENTRE, colourOf, drawing, finish, headRoom } from './plot.ts';
import type { BarChart } from './types.ts';

/** A chart of bars as the text of an SVG file, each with its number at its end. */
export async function barChart(chart: BarChart): Promise<string> {
  const { width = 720, bars } = chart;
  const { Plot, document } = await drawing();
  const groups = [...new Set(bars.map(({ group }) => group ?? ''))];
  const frame = {
    title: chart.title,
    subtitle: chart.subtitle,
    legend: groups.length > 1 ? groups : [],
  };
  const top = headRoom(frame, width) + 8;
  const longest = Math.max(0, ...bars.map(({ name }) => name.length));
  // Bars may share a name in different groups: rows are told apart by their place.
  const rows = bars.map(({ name, value, group = '' }, at) => {
    return { at, name, value, colour: colourOf(groups.indexOf(group)) };
  });
  const svg = Plot.plot({
    document,
    width,
    height: top + 42 + 24 * bars.length,
    marginTop: top,
    marginLeft: 24 + Math.min(280, longest * 6.8),
    marginRight: 64,
    marginBottom: 42,
    style: { fontSize: '11px', background: 'none' },
    x: { grid: true, zero: true },
    y: {
      label: null,
      domain: rows.map(({ at }) => at),
      tickFormat: (at: number) => rows[at]?.name ?? '',
    },
    marks: [
      Plot.axisX({ label: chart.label, ...AT_CENTRE }),
      Plot.barX(rows, { x: 'value', y: 'at', fill: 'colour', insetTop: 3, insetBottom: 3 }),
      Plot.text(rows, {
        x: 'value',
        y: 'at',
        text: ({ value }: { value: number }) => value.toPrecision(4).replace(/\.?0+$/, ''),
        textAnchor: 'start',
        dx: 5,
      }),
    ],
  });
  return finish(svg as Element, frame, document);
}
