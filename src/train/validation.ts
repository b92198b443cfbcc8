import { badArgument } from '../base/errors.ts';
import { BatchSampler } from '../data/index.ts';
import { type Jitted, jit, type Tensor } from '../tensor/index.ts';
import { type BatchTensors, type Corpus, lossOf, type TrainableModel, tensorsOf } from './batch.ts';

/** Batches of one measurement, always the same ones. */
const BATCHES = 8;

interface ValidationOptions {
  readonly batch: number;
  readonly sequence: number;
  readonly validation?: Corpus | undefined;
  readonly validations?: number;
}

/** The loss on tokens that are not trained on, measured a few times in a run. */
export class Validation {
  readonly #model: TrainableModel;
  readonly #options: ValidationOptions;
  readonly #times: number;
  readonly #loss: Jitted<[BatchTensors], Tensor>;
  #done = 0;
  #latest: number | undefined;

  constructor(model: TrainableModel, options: ValidationOptions) {
    const { validation, validations = 4 } = options;
    if (!Number.isInteger(validations) || validations < 0) {
      throw badArgument('trainLanguageModel', 'validations', validations, 'an integer >= 0');
    }
    this.#model = model;
    this.#options = options;
    this.#times = validation ? validations : 0;
    this.#loss = jit((batch: BatchTensors) => lossOf(model, batch));
    // Too few tokens are told before the first step, not at a quarter of the run.
    if (validation) this.#sampler();
  }

  /** The last measurement. */
  get latest(): number | undefined {
    return this.#latest;
  }

  /** Measures if it is due when a share of the run is done, else gives undefined. */
  async measureAt(share: number): Promise<number | undefined> {
    const due = Math.floor(share * this.#times + 1e-9);
    if (due <= this.#done) return undefined;
    this.#done = due;
    this.#latest = await this.#measure();
    return this.#latest;
  }

  async #measure(): Promise<number> {
    const { batch, sequence } = this.#options;
    const sampler = this.#sampler();
    let total = 0;
    for (let i = 0; i < BATCHES; i++) {
      const tensors = tensorsOf(this.#model, sampler.next(), [batch, sequence]);
      const used: Tensor[] = Object.values(tensors);
      try {
        const loss = await this.#loss(tensors);
        used.push(loss);
        total += await loss.item();
      } finally {
        for (const t of used) t.dispose();
      }
    }
    return total / BATCHES;
  }

  #sampler(): BatchSampler {
    const { batch, sequence, validation = { tokens: [] } } = this.#options;
    return new BatchSampler({ ...validation, batch, sequence, seed: 0 });
  }

  dispose(): void {
    this.#loss.dispose();
  }
}
