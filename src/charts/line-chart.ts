import { badArgument } from '../base/errors.ts';
import { AT_CENTRE, colourOf, drawing, finish, headRoom } from './plot.ts';
import type { Axis, Chart } from './types.ts';

/** A chart as the text of an SVG file. Points that are no finite numbers are left out. */
export async function lineChart(chart: Chart): Promise<string> {
  const { width = 720, height = 420, series, lines = [] } = chart;
  for (const { name, points, band } of series) {
    if (band && band.length !== points.length) {
      const expected = `an entry for each of ${points.length} points`;
      throw badArgument('lineChart', `band of ${name}`, band.length, expected);
    }
  }
  const { Plot, document } = await drawing();
  const frame = {
    title: chart.title,
    subtitle: chart.subtitle,
    legend: series.length > 1 ? series.map(({ name }) => name) : [],
  };
  const marks = series.flatMap(({ points, mark = 'line', band }, i) => {
    const colour = colourOf(i);
    const rows = points
      .map(([x, y], at) => ({ x, y, low: band?.[at]?.[0], high: band?.[at]?.[1] }))
      .filter(({ x, y }) => fits(x, chart.x) && fits(y, chart.y));
    const place = { x: 'x', y: 'y' } as const;
    return [
      band && Plot.areaY(rows, { x: 'x', y1: 'low', y2: 'high', fill: colour, fillOpacity: 0.15 }),
      mark === 'dots' ? null : Plot.lineY(rows, { ...place, stroke: colour, strokeWidth: 1.8 }),
      mark === 'line' ? null : Plot.dot(rows, { ...place, fill: colour, r: 3 }),
    ];
  });
  const svg = Plot.plot({
    document,
    width,
    height,
    marginTop: headRoom(frame, width) + 18,
    marginLeft: 66,
    marginBottom: 42,
    style: { fontSize: '11px', background: 'none' },
    x: axis(chart.x),
    y: { ...axis(chart.y), grid: true },
    marks: [
      Plot.axisX({ label: chart.x.label, ...ticks(chart.x), ...AT_CENTRE }),
      Plot.axisY({ label: chart.y.label, ...ticks(chart.y), ...AT_CENTRE }),
      ...marks,
      Plot.ruleY(
        lines.map(({ y }) => y),
        { stroke: '#888888', strokeDasharray: '4 3' },
      ),
      Plot.text(lines, {
        y: 'y',
        text: 'label',
        frameAnchor: 'right',
        textAnchor: 'end',
        dy: -7,
        fill: '#555555',
      }),
    ],
  });
  return finish(svg as Element, frame, document);
}

function axis({ label, scale = 'linear', domain }: Axis) {
  return {
    label,
    type: scale,
    ...(domain && { domain: [...domain] }),
    labelArrow: 'none',
  } as const;
}

/** Logarithmic axes would write 0.1 as 100m. */
function ticks({ scale }: Axis) {
  return scale === 'log' ? { tickFormat: ',.12~g' } : {};
}

function fits(value: number, { scale }: Axis): boolean {
  return Number.isFinite(value) && (scale !== 'log' || value > 0);
}
