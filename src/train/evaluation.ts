import type { BatchSource } from '../data/index.ts';
import { weightOf } from './batch.ts';
import type { Trainer } from './trainer.ts';

/** When and by what a run is measured. */
export interface EvaluationOptions {
  /** The same batches each time: a new source from its beginning. */
  readonly source: () => BatchSource;
  /** Batches of one measurement. */
  readonly batches: number;
  /** Steps between measurements, or how many there are in a run at equal distances. */
  readonly when: { readonly every: number } | { readonly times: number };
}

/** Modules that behave otherwise while they are measured, such as dropout. */
interface Switchable {
  train(): unknown;
  eval(): unknown;
}

/** The loss on tokens that are not trained on, measured a few times in a run. */
export class Evaluation {
  readonly #trainer: Trainer;
  readonly #options: EvaluationOptions;
  #done = 0;
  #latest: number | undefined;

  constructor(trainer: Trainer, options: EvaluationOptions) {
    this.#trainer = trainer;
    this.#options = options;
    // Too few tokens are told before the first step, not at a quarter of the run.
    options.source();
  }

  /** @param share of the run that an earlier part has done, and measured */
  continueFrom(share: number): void {
    const { when } = this.#options;
    if ('times' in when) this.#done = dueTimes(share, when.times);
  }

  /** The last measurement. */
  get latest(): number | undefined {
    return this.#latest;
  }

  /** Measures if it is due after a step, else gives undefined. */
  async measureAt(step: number, share: number): Promise<number | undefined> {
    if (!this.#isDue(step, share)) return undefined;
    this.#latest = await this.measure();
    return this.#latest;
  }

  #isDue(step: number, share: number): boolean {
    const { when } = this.#options;
    if ('every' in when) return step % when.every === 0 || share >= 1;
    const due = dueTimes(share, when.times);
    if (due <= this.#done) return false;
    this.#done = due;
    return true;
  }

  /** Mean loss of the batches, each by the weight of its tokens. */
  async measure(): Promise<number> {
    const { model } = this.#trainer;
    const switchable = isSwitchable(model) ? model : undefined;
    switchable?.eval();
    try {
      const source = this.#options.source();
      let sum = 0;
      let weights = 0;
      for (let i = 0; i < this.#options.batches; i++) {
        const batch = source.next();
        const weight = weightOf(batch);
        if (weight === 0) continue;
        sum += weight * (await this.#trainer.evaluate(batch));
        weights += weight;
      }
      return sum / weights;
    } finally {
      switchable?.train();
    }
  }
}

function dueTimes(share: number, times: number): number {
  return Math.floor(share * times + 1e-9);
}

function isSwitchable(model: object): model is Switchable {
  return (
    'train' in model &&
    typeof model.train === 'function' &&
    'eval' in model &&
    typeof model.eval === 'function'
  );
}
