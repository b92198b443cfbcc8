import type { Perplexity, Speed } from '../evaluate/index.ts';
import type { LayerReport } from './compress.ts';
import type { ModelSize } from './size.ts';

/** A model before or after. What was not measured is not there. */
export interface Measured {
  readonly size: ModelSize;
  readonly perplexity?: Perplexity | undefined;
  readonly speed?: Speed | undefined;
}

/** All that is told of one compression; plain JSON. */
export interface CompressionReport {
  readonly model: string;
  readonly scheme: string;
  /** How the codes were chosen. */
  readonly method: string;
  /** What products compute with. */
  readonly activations: string;
  readonly before: Measured;
  readonly after: Measured;
  readonly layers: readonly LayerReport[];
  /** Where the text of the perplexity came from. */
  readonly text?: string | undefined;
}

/** Quantity, before, after and their ratio, as rows of text; the first row is the head. */
export function summaryRows(report: CompressionReport): string[][] {
  const { before, after } = report;
  const rows = [['', 'before', 'after', 'ratio']];
  const add = (
    name: string,
    pick: (measured: Measured) => number | undefined,
    show: (value: number) => string,
  ) => {
    const [a, b] = [pick(before), pick(after)];
    if (a === undefined || b === undefined) return;
    rows.push([name, show(a), show(b), `${(b / a).toFixed(3)}x`]);
  };
  add('size', ({ size }) => size.bytes, megabytes);
  add(
    'bits per weight',
    ({ size }) => size.bitsPerWeight,
    (bits) => bits.toFixed(2),
  );
  const told = after.perplexity;
  if (told) {
    const name = `perplexity (${told.protocol}, ${told.context})`;
    add(
      name,
      ({ perplexity }) => perplexity?.perplexity,
      (value) => value.toFixed(4),
    );
  }
  const { speed } = after;
  if (speed) {
    const rate = (value: number) => `${value.toFixed(value < 100 ? 1 : 0)} tok/s`;
    add(`prefill of ${speed.promptTokens}`, (m) => m.speed?.prefill, rate);
    add('decode', (m) => m.speed?.decode, rate);
  }
  return rows;
}

/** A line for each matrix. */
export function layerRows(layers: readonly LayerReport[]): string[][] {
  return [
    ['layer', 'shape', 'stored', 'bits', 'rel. error', 'note'],
    ...layers.map(({ layer, shape, stored, bitsPerWeight, relativeError, reason }) => [
      layer,
      shape.join(' x '),
      stored,
      bitsPerWeight.toFixed(2),
      relativeError.toFixed(4),
      reason ?? '',
    ]),
  ];
}

/** One sentence that says what was gained, also where it is little. */
export function verdict({ before, after }: CompressionReport): string {
  const smaller = before.size.bytes / after.size.bytes;
  const size = `${smaller.toFixed(2)} times smaller`;
  if (!before.speed || !after.speed) return `${size}.`;
  const faster = after.speed.decode / before.speed.decode;
  if (faster >= 1.05) return `${size}, and ${faster.toFixed(2)} times as fast at writing.`;
  if (faster > 0.95) return `${size}; as fast as before.`;
  return `${size}, not faster: it writes at ${faster.toFixed(2)} times the speed.`;
}

export function megabytes(bytes: number): string {
  return bytes < 1e5 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(2)} MB`;
}
