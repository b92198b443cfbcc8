/** A step as the server tells it. */
export interface Point {
  readonly step: number;
  readonly steps: number;
  readonly loss: number;
  readonly lr: number;
  readonly gradNorm: number;
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

/** Seconds as 1:05 or 2:01:05. */
export function clock(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const pad = (n: number) => String(n).padStart(2, '0');
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  const tail = `${hours > 0 ? pad(minutes) : minutes}:${pad(whole % 60)}`;
  return hours > 0 ? `${hours}:${tail}` : tail;
}
