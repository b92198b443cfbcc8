import { clock } from '../base/clock.ts';
import type { TrainingProgress } from '../train/index.ts';

/** Where the view writes: standard output. */
export interface Terminal {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** Shows a training run while it goes on. */
export interface TrainingView {
  update(progress: TrainingProgress): void;
  /** Leaves the line of the bar. */
  end(): void;
}

/** A bar on a terminal, lines now and then in a pipe, an object for every step with `json`. */
export function trainingView(json: boolean, out: Terminal = process.stdout): TrainingView {
  if (json) return { update: (progress) => printJson('progress', progress, out), end: () => {} };
  return out.isTTY ? new Bar(out) : new Lines(out);
}

/** One line of JSON, with the event's name first. */
export function printJson(event: string, content: object, out: Terminal = process.stdout): void {
  out.write(`${JSON.stringify({ event, ...content })}\n`);
}

const REDRAW_SECONDS = 0.1;
const LINE_SECONDS = 10;
/** Leaves room for the numbers on a line of 80 columns. */
const BAR_WIDTH = 10;

/** The mean loss since it was last shown: single batches are noisy. */
class MeanLoss {
  #sum = 0;
  #count = 0;

  add(loss: number): void {
    this.#sum += loss;
    this.#count++;
  }

  take(): number {
    const mean = this.#sum / this.#count;
    this.#sum = 0;
    this.#count = 0;
    return mean;
  }
}

class Bar implements TrainingView {
  readonly #out: Terminal;
  readonly #loss = new MeanLoss();
  #shown = Number.NEGATIVE_INFINITY;
  #validation: number | undefined;
  #open = false;

  constructor(out: Terminal) {
    this.#out = out;
  }

  update(progress: TrainingProgress): void {
    this.#loss.add(progress.loss);
    this.#validation = progress.validationLoss ?? this.#validation;
    const now = performance.now() / 1000;
    const last = progress.step >= progress.steps;
    if (now - this.#shown < REDRAW_SECONDS && !last) return;
    this.#shown = now;
    this.#open = true;
    const share = Math.min(1, progress.step / progress.steps);
    const full = Math.round(share * BAR_WIDTH);
    const bar = '━'.repeat(full) + '─'.repeat(BAR_WIDTH - full);
    const rest = describe({ ...progress, loss: this.#loss.take() }, this.#validation);
    const line = `${bar} ${percent(share)}  ${rest}`;
    // Cut at the edge: a line that wraps cannot be drawn over.
    this.#out.write(`\r${line.slice(0, (this.#out.columns ?? 80) - 1)}\u001b[K`);
  }

  end(): void {
    if (this.#open) this.#out.write('\n');
    this.#open = false;
  }
}

class Lines implements TrainingView {
  readonly #out: Terminal;
  readonly #loss = new MeanLoss();
  #shown = performance.now() / 1000;

  constructor(out: Terminal) {
    this.#out = out;
  }

  update(progress: TrainingProgress): void {
    this.#loss.add(progress.loss);
    const now = performance.now() / 1000;
    const { step, steps, validationLoss } = progress;
    const waited = now - this.#shown >= LINE_SECONDS;
    if (!waited && step < steps && validationLoss === undefined) return;
    this.#shown = now;
    const text = describe({ ...progress, loss: this.#loss.take() }, validationLoss);
    this.#out.write(`${percent(step / steps).padStart(4)}  ${text}\n`);
  }

  end(): void {}
}

function describe(progress: TrainingProgress, validationLoss: number | undefined): string {
  const { step, steps, loss, lr, gradNorm, lossScale } = progress;
  const { tokensPerSecond, etaSeconds, gflops } = progress;
  // A narrow terminal cuts the end: what is looked at most comes first.
  return [
    `step ${step}/${steps}`,
    `loss ${loss.toFixed(3)}`,
    ...(validationLoss === undefined ? [] : [`val ${validationLoss.toFixed(3)}`]),
    `${Math.round(tokensPerSecond)} tok/s`,
    `ETA ${clock(etaSeconds)}`,
    `lr ${lr.toPrecision(2)}`,
    `grad ${Number.isFinite(gradNorm) ? gradNorm.toPrecision(2) : '–'}`,
    ...(lossScale === undefined ? [] : [`scale ${lossScale}`]),
    ...(gflops === undefined ? [] : [`${gflops.toPrecision(3)} GFLOP/s`]),
    `${Math.ceil(progress.memoryBytes / 2 ** 20)} MiB`,
  ].join('  ');
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}
