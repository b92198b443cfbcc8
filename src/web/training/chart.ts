import uPlot from 'uplot';
import { el } from '../chat/dom.ts';

/** One line of a chart. */
export interface Line {
  readonly label: string;
  /** Drawn with its points, for values that are far apart. */
  readonly dots?: boolean;
}

export interface ChartOptions {
  readonly title: string;
  readonly lines: readonly [Line, Line?];
  readonly format: (value: number) => string;
  readonly wide?: boolean;
}

/** x, and the values of each line; null where there is none. */
export type Columns = [number[], (number | null)[], (number | null)[]?];

const CLASSES = ['first', 'second'] as const;

/** A chart in a figure of its own, in the colours of the page's scheme. */
export class LiveChart {
  readonly figure: HTMLElement;
  readonly #options: ChartOptions;
  readonly #place = el('div');
  #plot: uPlot | undefined;
  #columns: Columns = [[], []];

  constructor(options: ChartOptions) {
    this.#options = options;
    const { title, lines, wide } = options;
    const keys =
      lines.length < 2
        ? []
        : lines.map((line, i) =>
            el('span', {}, el('i', { className: CLASSES[i] ?? 'first' }), line?.label ?? ''),
          );
    this.figure = el(
      'figure',
      { className: wide ? 'wide' : '' },
      el('figcaption', {}, title, ...keys),
      this.#place,
    );
    this.#place.setAttribute('role', 'img');
    new ResizeObserver(() => this.#resize()).observe(this.figure);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.#rebuild());
  }

  show(columns: Columns): void {
    this.#columns = columns;
    const { title, format } = this.#options;
    const latest = columns[1].findLast((value) => value !== null);
    this.#place.setAttribute(
      'aria-label',
      latest === undefined ? `${title}: nothing yet` : `${title}: ${format(latest as number)} now`,
    );
    if (this.#plot) this.#plot.setData(columns as uPlot.AlignedData);
    else this.#rebuild();
  }

  #rebuild(): void {
    this.#plot?.destroy();
    if (this.#columns[0].length === 0) return;
    const { lines, format } = this.#options;
    const style = getComputedStyle(document.documentElement);
    const colour = (name: string) => resolved(style.getPropertyValue(`--${name}`));
    const soft = colour('soft');
    const axis = { stroke: soft, font: '12px system-ui, sans-serif', ticks: { show: false } };
    this.#plot = new uPlot(
      {
        ...this.#size(),
        legend: { show: false },
        cursor: { y: false },
        scales: { x: { time: false } },
        axes: [
          { ...axis, size: 28, grid: { show: false } },
          {
            ...axis,
            size: 64,
            grid: { stroke: colour('line'), width: 1 },
            values: (_plot, values) => values.map(format),
          },
        ],
        series: [
          {},
          ...lines.map((line, i) => {
            const stroke = colour(CLASSES[i] ?? 'first');
            const points = { show: line?.dots ?? false, size: 5, fill: stroke };
            return { stroke, width: 1.6, spanGaps: true, points };
          }),
        ],
      },
      this.#columns as uPlot.AlignedData,
      this.#place,
    );
  }

  #size(): { width: number; height: number } {
    const width = Math.max(120, this.figure.clientWidth - 32);
    return { width, height: this.#options.wide ? 320 : 200 };
  }

  #resize(): void {
    this.#plot?.setSize(this.#size());
  }
}

/** A canvas does not know `light-dark()`: the browser says which colour it is. */
function resolved(value: string): string {
  const probe = el('span');
  probe.style.color = value;
  document.body.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}
