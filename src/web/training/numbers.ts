/** A step as the server tells it. */
export interface Point {
  readonly step: number;
  readonly steps: number;
  readonly loss: number;
  readonly lr: number;
  /** None in a step that was skipped, since it was not finite. */
  readonly gradNorm: number | null;
  readonly tokensPerSecond: number;
  readonly gflops?: number;
  readonly memoryBytes: number;
  readonly etaSeconds: number;
  readonly validationLoss?: number;
}

const COMPACT = new Intl.NumberFormat('en', { notation: 'compact', maximumSignificantDigits: 3 });

/** 12300 as 12.3K, 0.00123 as 0.00123. */
export function compact(value: number): string {
  if (value === 0 || Math.abs(value) >= 0.001) return COMPACT.format(value);
  return value.toExponential(1);
}

export function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}
