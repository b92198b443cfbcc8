import { badArgument } from '../../base/errors.ts';
import { checkRange } from '../settings.ts';
import { type Cycle, checkCount, halfCosine } from './schedule.ts';

/** From one value to another, by the share of the way. */
const ANNEAL = {
  cosine: (from: number, to: number, share: number) => to + (from - to) * halfCosine(share),
  linear: (from: number, to: number, share: number) => from + (to - from) * share,
};

/** A stretch of steps: where it ends, and what lr and momentum go to. */
interface Phase {
  readonly end: number;
  readonly lr: number;
  readonly momentum: number;
}

/**
 * One cycle (Smith and Topin 2018): from max / div up to max, down again and on to nearly nothing,
 * the momentum the other way. With `threePhase` the way down mirrors the way up before the rate
 * goes on to its end.
 */
export function oneCycle(options: {
  /** Highest rate. */
  readonly max: number;
  readonly steps: number;
  /** Share of the steps in which the rate rises (default 0.3). */
  readonly rise?: number;
  readonly anneal?: keyof typeof ANNEAL;
  /** The first rate is max / div (default 25), the last one that over finalDiv (default 1e4). */
  readonly div?: number;
  readonly finalDiv?: number;
  /** Momentum at the highest and at the lowest rate (default 0.85, 0.95). */
  readonly momentum?: readonly [low: number, high: number];
  readonly threePhase?: boolean;
}): Cycle {
  const { max, steps, rise = 0.3, anneal = 'cosine', div = 25, finalDiv = 1e4 } = options;
  const { momentum: [low, high] = [0.85, 0.95], threePhase = false } = options;
  checkRange('oneCycle', 'max', max, 0);
  checkCount('oneCycle', 'steps', steps, 2);
  checkRange('oneCycle', 'rise', rise, 0, threePhase ? 0.5 : 1);
  checkRange('oneCycle', 'div', div, 1);
  checkRange('oneCycle', 'finalDiv', finalDiv, 1);
  if (!Object.hasOwn(ANNEAL, anneal)) {
    throw badArgument('oneCycle', 'anneal', anneal, Object.keys(ANNEAL).join(' or '));
  }
  const start = max / div;
  const top = rise * steps - 1;
  const phases: Phase[] = [{ end: top, lr: max, momentum: low }];
  if (threePhase) phases.push({ end: 2 * rise * steps - 2, lr: start, momentum: high });
  phases.push({ end: steps - 1, lr: start / finalDiv, momentum: high });
  const between = ANNEAL[anneal];
  const value = (of: 'lr' | 'momentum', first: number) => (step: number) => {
    let begin = 0;
    let from = first;
    for (const phase of phases) {
      if (step <= phase.end) {
        return between(from, phase[of], (step - begin) / (phase.end - begin));
      }
      begin = phase.end;
      from = phase[of];
    }
    return from;
  };
  return { lr: value('lr', start), momentum: value('momentum', high) };
}

/** How high the cycles are: all alike, each half as high as the last, or times gamma each step. */
const HEIGHTS = {
  triangular: () => 1,
  triangular2: (cycle: number) => 1 / 2 ** (cycle - 1),
  'exp-range': (_cycle: number, step: number, gamma: number) => gamma ** step,
};

/** Triangles between two rates (Smith 2017), the momentum the other way. */
export function cyclic(options: {
  /** Lowest and highest rate. */
  readonly lr: number;
  readonly max: number;
  /** Steps upwards (default 2000) and downwards (default: as many). */
  readonly up?: number;
  readonly down?: number;
  readonly mode?: keyof typeof HEIGHTS;
  /** Of mode exp-range (default 1). */
  readonly gamma?: number;
  /** Momentum at the highest and at the lowest rate (default 0.8, 0.9). */
  readonly momentum?: readonly [low: number, high: number];
}): Cycle {
  const { lr, max, up = 2000, down = up, mode = 'triangular', gamma = 1 } = options;
  const { momentum: [low, high] = [0.8, 0.9] } = options;
  checkRange('cyclic', 'lr', lr, 0);
  checkRange('cyclic', 'max', max, lr);
  checkCount('cyclic', 'up', up, 1);
  checkCount('cyclic', 'down', down, 1);
  checkRange('cyclic', 'gamma', gamma, 0);
  if (!Object.hasOwn(HEIGHTS, mode)) {
    throw badArgument('cyclic', 'mode', mode, Object.keys(HEIGHTS).join(', '));
  }
  const height = (step: number): number => {
    const cycle = Math.floor(step / (up + down));
    const place = step - cycle * (up + down);
    const share = place <= up ? place / up : 1 - (place - up) / down;
    return share * HEIGHTS[mode](cycle + 1, step, gamma);
  };
  return {
    lr: (step) => lr + (max - lr) * height(step),
    momentum: (step) => high - (high - low) * height(step),
  };
}
