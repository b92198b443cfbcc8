import { type Bar, LIMIT, type Measurement, type Verdict } from './measurement.ts';

/** The measurement with its verdicts. */
export function withBars(measurement: Measurement, bars: readonly Bar[]): Measurement {
  return { ...measurement, bars: bars.map((bar) => judge(measurement, bar)) };
}

function judge({ value, limit, peers }: Measurement, bar: Bar): Verdict {
  const base = bar.of === LIMIT ? limit : peers[bar.of];
  if (base === undefined) return bar;
  const ratio = value / base;
  const met = ratio >= (bar.atLeast ?? 0) && ratio <= (bar.atMost ?? Number.POSITIVE_INFINITY);
  // Rounded away from the bar's good side: a miss never looks like what was asked for.
  const worse = bar.atMost === undefined ? Math.floor : Math.ceil;
  return { ...bar, ratio: worse(Number((ratio * 100).toPrecision(12))) / 100, met };
}

/** A verdict for readers: `0.97x openblas, bar >= 1x: missed`. */
export function verdictText({ of, atLeast, atMost, ratio, met }: Verdict): string {
  const wish = atLeast === undefined ? `<= ${atMost}x` : `>= ${atLeast}x`;
  if (ratio === undefined) return `bar ${wish} ${of}: not measured`;
  return `${ratio}x ${of}, bar ${wish}: ${met ? 'met' : 'missed'}`;
}
