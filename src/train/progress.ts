/** Where a training run stands after a step. */
export interface TrainingProgress {
  /** Steps done, from 1. */
  readonly step: number;
  /** Steps in all; under a time limit as far as can be told. */
  readonly steps: number;
  /** Loss of the step's batch before its update, in nats per token. */
  readonly loss: number;
  /** Learning rate of the step. */
  readonly lr: number;
  /** 2-norm of all gradients before clipping; not finite (in JSON null) in a step that was skipped. */
  readonly gradNorm: number;
  /** Where the loss is scaled: by how much it was in this step. */
  readonly lossScale?: number;
  /** Where the loss is scaled: steps skipped so far, since their gradients were not finite. */
  readonly skippedSteps?: number;
  /** Tokens trained on so far, those without weight among them. */
  readonly tokens: number;
  /** Seconds of training so far, earlier parts of a resumed run among them. */
  readonly seconds: number;
  /** Over the latest steps. */
  readonly tokensPerSecond: number;
  /** Model FLOPs a second in 10^9, by 6 N + 12 L d T a token; there if the model's sizes are known. */
  readonly gflops?: number;
  /** Bytes of all arrays on the device. */
  readonly memoryBytes: number;
  readonly etaSeconds: number;
  /** Where it was measured after this step: loss on the validation tokens. */
  readonly validationLoss?: number;
}

/** How much of the past the mean step time remembers. */
const MEMORY = 0.95;

/** The time of a step, averaged over the latest ones. */
export class StepClock {
  #mean = 0;
  #weight = 0;

  add(seconds: number): void {
    this.#mean = MEMORY * this.#mean + (1 - MEMORY) * seconds;
    this.#weight = MEMORY * this.#weight + (1 - MEMORY);
  }

  /** Seconds a step, 0 before the first. */
  get seconds(): number {
    return this.#weight === 0 ? 0 : this.#mean / this.#weight;
  }
}
