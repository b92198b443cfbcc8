/** The mean of some numbers. */
export function mean(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}

/** The sample's standard deviation; 0 of a single number. */
export function deviation(values: readonly number[]): number {
  if (values.length < 2) return 0;
  const centre = mean(values);
  return Math.sqrt(values.reduce((s, v) => s + (v - centre) ** 2, 0) / (values.length - 1));
}

/** Mean, and deviation where there are several: `4.61 +- 0.12`. */
export function spreadText(values: readonly number[], digits: number): string {
  const centre = mean(values).toFixed(digits);
  return values.length < 2 ? centre : `${centre} ± ${deviation(values).toFixed(digits)}`;
}

/** The slope of log y over log x by least squares: the exponent of a power law. */
export function exponent(points: readonly (readonly [x: number, y: number])[]): number {
  const logs = points.map(([x, y]) => [Math.log(x), Math.log(y)] as const);
  const [mx, my] = [mean(logs.map(([x]) => x)), mean(logs.map(([, y]) => y))];
  const over = logs.reduce((s, [x, y]) => s + (x - mx) * (y - my), 0);
  return over / logs.reduce((s, [x]) => s + (x - mx) ** 2, 0);
}

/** The mean curve of several runs, and the lowest and highest value at each of its points. */
export function curveOf(
  xs: readonly number[],
  runs: readonly (readonly number[])[],
): {
  readonly points: [number, number][];
  readonly band: [number, number][];
} {
  const at = (i: number) => runs.map((run) => run[i] as number);
  return {
    points: xs.map((x, i) => [x, mean(at(i))]),
    band: xs.map((_, i) => [Math.min(...at(i)), Math.max(...at(i))]),
  };
}
