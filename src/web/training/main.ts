import { clock } from '../../base/clock.ts';
import { byId, el } from '../chat/dom.ts';
import { type Columns, LiveChart } from './chart.ts';
import { compact, type Point, percent } from './numbers.ts';

const CHARTS = {
  loss: new LiveChart({
    title: 'Loss, nats per token',
    lines: [{ label: 'training' }, { label: 'validation', dots: true }],
    format: (value) => value.toFixed(2),
    wide: true,
  }),
  lr: new LiveChart({ title: 'Learning rate', lines: [{ label: 'rate' }], format: compact }),
  speed: new LiveChart({ title: 'Tokens a second', lines: [{ label: 'speed' }], format: compact }),
  norm: new LiveChart({
    title: 'Norm of the gradients',
    lines: [{ label: 'norm' }],
    format: compact,
  }),
};

/** The latest step in words: name, and value where there is one. */
const NUMBERS: readonly [string, (point: Point, validation: number | undefined) => string][] = [
  ['Step', ({ step, steps }) => `${step} / ${steps}`],
  ['Loss', ({ loss }) => loss.toFixed(4)],
  ['Validation', (_point, validation) => validation?.toFixed(4) ?? '–'],
  ['Learning rate', ({ lr }) => lr.toPrecision(3)],
  ['Gradient norm', ({ gradNorm }) => gradNorm?.toPrecision(3) ?? '–'],
  ['Tokens a second', ({ tokensPerSecond }) => compact(tokensPerSecond)],
  ['GFLOP/s', ({ gflops }) => (gflops === undefined ? '–' : gflops.toPrecision(3))],
  ['Memory', ({ memoryBytes }) => `${Math.ceil(memoryBytes / 2 ** 20)} MiB`],
];

const state = byId('state', HTMLElement);
const numbers = byId('numbers', HTMLElement);
const values = NUMBERS.map(([name]) => {
  const value = el('dd', {}, '–');
  numbers.append(el('div', {}, el('dt', {}, name), value));
  return value;
});
byId('charts', HTMLElement).append(...Object.values(CHARTS).map(({ figure }) => figure));

let points: Point[] = [];
let isStale = false;

function show(): void {
  isStale = false;
  const latest = points[points.length - 1];
  if (!latest) return;
  const validation = points.findLast((p) => p.validationLoss !== undefined)?.validationLoss;
  for (const [i, [, text]] of NUMBERS.entries()) {
    const value = values[i];
    if (value) value.textContent = text(latest, validation);
  }
  const share = Math.min(1, latest.step / latest.steps);
  byId('bar', HTMLProgressElement).value = share;
  byId('share', HTMLElement).textContent = percent(share);
  byId('left', HTMLElement).textContent =
    latest.etaSeconds > 0 ? `${clock(latest.etaSeconds)} left` : '';
  document.title = `${percent(share)} · Training · Tersor`;
  const steps = points.map(({ step }) => step);
  const line = (pick: (point: Point) => number | null): Columns => [steps, points.map(pick)];
  const measured = points.map(({ validationLoss }) => validationLoss ?? null);
  CHARTS.loss.show([steps, points.map(({ loss }) => loss), measured]);
  CHARTS.lr.show(line(({ lr }) => lr));
  CHARTS.speed.show(line(({ tokensPerSecond }) => tokensPerSecond));
  CHARTS.norm.show(line(({ gradNorm }) => gradNorm));
}

/** Steps may come by the hundred in a second: it is drawn once a frame at most. */
function showSoon(): void {
  if (isStale) return;
  isStale = true;
  requestAnimationFrame(show);
}

const ENDS: Readonly<Record<string, string>> = {
  finished: 'Finished',
  stopped: 'Stopped; what was learnt is saved',
  failed: 'Failed: see the terminal',
};

const events = new EventSource('events');
const on = (name: string, handle: (data: unknown) => void) => {
  events.addEventListener(name, (event) => handle(JSON.parse((event as MessageEvent).data)));
};
on('about', (data) => {
  const { name, parameters, out } = data as { name: string; parameters: number; out: string };
  byId('name', HTMLElement).textContent = name;
  byId('about', HTMLElement).textContent =
    `${compact(parameters)} parameters; all is kept in ${out}`;
});
on('history', (data) => {
  points = data as Point[];
  if (points.length > 0) state.textContent = 'Training';
  showSoon();
});
on('progress', (data) => {
  points.push(data as Point);
  if (state.textContent !== 'Training') state.textContent = 'Training';
  showSoon();
});
on('end', (data) => {
  events.close();
  state.textContent = ENDS[String(data)] ?? 'Over';
  state.classList.toggle('failed', data === 'failed');
});
events.addEventListener('error', () => {
  state.textContent = 'The connection is lost; trying again';
});
