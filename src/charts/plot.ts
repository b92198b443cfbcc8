import type * as PlotModule from '@observablehq/plot';

type Plot = typeof PlotModule;

/** Colours that also differ in brightness, for eyes that see fewer hues and for print. */
const COLOURS = [
  '#1f5fbf',
  '#d9731a',
  '#1f8f5f',
  '#b03a5b',
  '#7a56c2',
  '#8a6d1f',
  '#3aa3b5',
  '#555555',
] as const;

export function colourOf(index: number): string {
  return COLOURS[index % COLOURS.length] as string;
}

/** Where the label of an axis stands. */
export const AT_CENTRE = { labelAnchor: 'center', labelArrow: 'none' } as const;

export interface Drawing {
  readonly Plot: Plot;
  readonly document: Document;
}

/** The plotting library and a document for it to draw in: loaded with the first picture. */
export async function drawing(): Promise<Drawing> {
  const [Plot, { parseHTML }] = await Promise.all([
    import('@observablehq/plot'),
    import('linkedom'),
  ]);
  return { Plot, document: parseHTML('<!doctype html><html><body></body></html>').document };
}

export interface Frame {
  readonly title: string;
  readonly subtitle?: string | undefined;
  /** Names in the order of their colours. */
  readonly legend: readonly string[];
}

/** Space that title, subtitle and legend take above the plot, in pixels. */
export function headRoom({ subtitle, legend }: Frame, width: number): number {
  return 40 + (subtitle ? 18 : 0) + 20 * legendRows(legend, width).length;
}

const SPACE = 16;
/** About what a character of the legend takes. */
const CHARACTER = 6.6;

/** Names row by row, each with its place, so that none is cut. */
function legendRows(names: readonly string[], width: number) {
  const rows: { name: string; index: number; x: number }[][] = [];
  let x = width;
  names.forEach((name, index) => {
    const length = 40 + name.length * CHARACTER;
    if (x + length > width - SPACE) {
      rows.push([]);
      x = SPACE;
    }
    rows.at(-1)?.push({ name, index, x });
    x += length;
  });
  return rows;
}

/** Puts head and background into a plot, and gives it as a file of its own. */
export function finish(svg: Element, frame: Frame, document: Document): string {
  const width = Number(svg.getAttribute('width'));
  svg.setAttribute('xmlns', 'http://www.w3.org/2000/svg');
  svg.setAttribute('role', 'img');
  svg.setAttribute('aria-label', frame.title);
  svg.setAttribute('color', '#222222');
  const add = (name: string, attributes: Record<string, string | number>, text?: string) => {
    const made = document.createElementNS('http://www.w3.org/2000/svg', name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const left = { x: SPACE, 'text-anchor': 'start', fill: '#222222' };
  svg.insertBefore(
    add('rect', { width: '100%', height: '100%', rx: 8, fill: '#ffffff' }),
    svg.firstChild,
  );
  svg.append(add('text', { ...left, y: 26, 'font-size': 15, 'font-weight': 600 }, frame.title));
  let y = 26;
  if (frame.subtitle) {
    y += 18;
    svg.append(add('text', { ...left, y, 'font-size': 11, fill: '#555555' }, frame.subtitle));
  }
  for (const row of legendRows(frame.legend, width)) {
    y += 20;
    for (const { name, index, x } of row) {
      svg.append(add('rect', { x, y: y - 8, width: 14, height: 8, rx: 2, fill: colourOf(index) }));
      svg.append(add('text', { ...left, x: x + 20, y, 'font-size': 11 }, name));
    }
  }
  return `${svg.outerHTML}\n`;
}
