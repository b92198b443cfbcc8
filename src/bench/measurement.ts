import { median } from './harness.ts';

/** What a value must reach, as a multiple of something that was measured in the same race. */
export interface Bar {
  /** The name of a peer, or `LIMIT`. */
  readonly of: string;
  /** For a rate. */
  readonly atLeast?: number;
  /** For a time. */
  readonly atMost?: number;
}

/** A bar, and where a value stands to it. */
export interface Verdict extends Bar {
  /** value / what the bar is of; undefined where that did not take part, and so is `met`. */
  readonly ratio?: number;
  readonly met?: boolean;
}

/** One line of results. */
export interface Measurement {
  readonly bench: string;
  readonly case: string;
  readonly device: string;
  readonly threads: number;
  /** Median over the repeats. */
  readonly value: number;
  /** Smallest of the repeats: the worst of a rate, the best of a time. */
  readonly min: number;
  readonly unit: string;
  /** What the machine could do at most (for a time: what it must not exceed), in `unit`. */
  readonly limit?: number;
  /** value / limit */
  readonly ofLimit?: number;
  /** Medians of other libraries in the same run, by name. */
  readonly peers: Readonly<Record<string, number>>;
  /** What else was found of the case, by name. */
  readonly more?: Readonly<Record<string, number>>;
  /** What it must reach, and whether it does. */
  readonly bars?: readonly Verdict[];
}

type Labels = Pick<Measurement, 'bench' | 'case' | 'device' | 'threads' | 'unit'>;

/** Who ran in a race: the name of the contestant that is measured, and of its limit. */
export const SUBJECT = 'tersor';
export const LIMIT = 'limit';

/**
 * A measurement from a race. All figures are of the same rounds: that of the subject, that of the
 * limit where one took part, and all others as peers.
 *
 * @param toUnit turns the seconds of one run into the unit
 */
export function measurement(
  labels: Labels,
  seconds: ReadonlyMap<string, readonly number[]>,
  toUnit: (seconds: number) => number,
): Measurement {
  const values = (name: string) => seconds.get(name)?.map(toUnit);
  const own = values(SUBJECT);
  if (!own) throw new TypeError(`measurement: no contestant is named ${SUBJECT}`);
  const value = median(own);
  const bound = values(LIMIT);
  const peers: Record<string, number> = {};
  for (const name of seconds.keys()) {
    if (name !== SUBJECT && name !== LIMIT) peers[name] = rounded(median(values(name) ?? []));
  }
  return finished(labels, value, Math.min(...own), bound && median(bound), peers);
}

/** A measurement of given values of the unit, without a race. */
export function measured(labels: Labels, values: readonly number[], limit?: number): Measurement {
  return finished(labels, median(values), Math.min(...values), limit, {});
}

function finished(
  { bench, case: title, device, threads, unit }: Labels,
  value: number,
  min: number,
  limit: number | undefined,
  peers: Readonly<Record<string, number>>,
): Measurement {
  const head = {
    bench,
    case: title,
    device,
    threads,
    value: rounded(value),
    min: rounded(min),
    unit,
  };
  if (limit === undefined) return { ...head, peers };
  return { ...head, limit: rounded(limit), ofLimit: rounded(value / limit, 2), peers };
}

/** The measurement with more that was found of its case. */
export function withMore(
  measurement: Measurement,
  more: Readonly<Record<string, number>>,
): Measurement {
  const entries = Object.entries(more).map(([name, value]) => [name, rounded(value)]);
  return { ...measurement, more: Object.fromEntries(entries) };
}

/** Digits beyond the third say nothing about a time. */
function rounded(value: number, digits = 3): number {
  const places = Math.max(0, digits - 1 - Math.floor(Math.log10(Math.abs(value) || 1)));
  return Number(value.toFixed(Math.min(places, 12)));
}
