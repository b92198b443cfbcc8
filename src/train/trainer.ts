import { badArgument } from '../base/errors.ts';
import type { TokenBatch } from '../data/index.ts';
import {
  clipByGlobalNorm,
  GradScaler,
  type GradScalerOptions,
  globalNorm,
  type Optimizer,
} from '../optim/index.ts';
import {
  autocast,
  Cell,
  DTYPES,
  type Jitted,
  jit,
  type Parameter,
  type Precision,
  requirePrecision,
  type Tensor,
  tensor,
  valueAndGrad,
  zeros,
} from '../tensor/index.ts';
import { type BatchTensors, lossOf, type TrainableModel, tensorsOf, weightOf } from './batch.ts';

/** What the trainer asks of an optimiser. */
export type TrainerOptimizer = Pick<Optimizer, 'setLearningRate' | 'update' | 'state' | 'dispose'>;

export interface TrainerOptions {
  readonly model: TrainableModel;
  /** Of the model's trainable parameters; the trainer disposes of it. */
  readonly optimizer: TrainerOptimizer;
  /** Rows of a micro-batch. */
  readonly batch: number;
  /** Tokens of a row. */
  readonly sequence: number;
  /** Micro-batches of a step (default 1). */
  readonly accumulate?: number;
  /** Highest common 2-norm of the gradients (default: they are not clipped). */
  readonly clipNorm?: number | undefined;
  /**
   * What products of the loss are computed in (default f32; see `autocast`). Parameters, gradients and
   * the optimiser's state are f32 in any case. With f16 the loss is scaled while it is differentiated,
   * and a step whose gradients are not finite is skipped.
   */
  readonly precision?: Precision | undefined;
  /** How the scale begins and moves (default: as `GradScaler`); with f16 only. */
  readonly lossScale?: Omit<GradScalerOptions, 'device'> | undefined;
}

/** The loss's scale in a step. */
export interface ScaleResult {
  /** What the step's loss was multiplied by. */
  readonly scale: number;
  /** Whether its gradients were not finite, so that it changed nothing but the scale. */
  readonly skipped: boolean;
  /** Steps skipped since the beginning, this one among them. */
  readonly skippedSteps: number;
}

/** What a step has measured. */
export interface StepResult {
  /** Before the update, in nats per token: mean over all tokens of the step that count. */
  readonly loss: number;
  /** 2-norm of all gradients before clipping; not finite in a step that was skipped. */
  readonly gradNorm: number;
  /** Where the loss is scaled. */
  readonly scaling?: ScaleResult;
}

/** Bytes that training takes on the device, by what they are for. */
export interface TrainingMemory {
  readonly parameters: number;
  /** Sums of gradients between micro-batches; gradients of a single batch are intermediates. */
  readonly gradients: number;
  readonly optimizer: number;
  /** Intermediates as the compiler has planned them: activations, gradients, work space. */
  readonly activations: number;
  readonly batch: number;
  readonly total: number;
}

/** What an update has measured. */
interface Updated {
  readonly norm: Tensor;
  readonly scaling?: { readonly scale: Tensor; readonly finite: Tensor; readonly skipped: Tensor };
}

/** With the loss of the step, where it is a single batch. */
interface Measured extends Updated {
  readonly loss: Tensor;
}

/**
 * Steps of training. A step's loss is the mean over all tokens of all its micro-batches that count,
 * each token by its weight: how a step is cut into micro-batches changes nothing but rounding.
 *
 * There are two kinds of steps, and one compiled program for each kind: a single batch is one
 * program from tokens to new parameters; with several, one program adds a micro-batch's gradients
 * to their sums, and another updates by the sums.
 */
export class Trainer {
  readonly model: TrainableModel;
  readonly optimizer: TrainerOptimizer;
  readonly batch: number;
  readonly sequence: number;
  readonly accumulate: number;
  readonly precision: Precision;
  /** Only with f16. */
  readonly scaler: GradScaler | undefined;
  readonly #clipNorm: number | undefined;
  /** Sums of gradients, by parameter; none where a step is a single batch. */
  readonly #sums = new Map<string, Cell>();
  readonly #whole: Jitted<[BatchTensors], Measured>;
  readonly #add: Jitted<[BatchTensors, Tensor], Tensor>;
  readonly #apply: Jitted<[], Updated>;
  readonly #measure: Jitted<[BatchTensors], Tensor>;

  constructor(options: TrainerOptions) {
    const { model, optimizer, batch, sequence, accumulate = 1, clipNorm } = options;
    const { precision = 'f32', lossScale } = options;
    for (const [name, value] of Object.entries({ batch, sequence, accumulate })) {
      if (!Number.isInteger(value) || value < 1) {
        throw badArgument('Trainer', name, value, 'an integer >= 1');
      }
    }
    if (clipNorm !== undefined && !(clipNorm > 0)) {
      throw badArgument('Trainer', 'clipNorm', clipNorm, 'a number > 0');
    }
    requirePrecision('Trainer', precision);
    if (lossScale && precision !== 'f16') {
      throw badArgument(
        'Trainer',
        'lossScale',
        lossScale,
        `precision f16 beside it, not ${precision}`,
      );
    }
    this.model = model;
    this.optimizer = optimizer;
    this.batch = batch;
    this.sequence = sequence;
    this.accumulate = accumulate;
    this.precision = precision;
    this.scaler = precision === 'f16' ? new GradScaler({ ...lossScale, ...on(model) }) : undefined;
    this.#clipNorm = clipNorm;
    if (accumulate > 1) this.#makeSums();
    this.#whole = jit((tensors: BatchTensors) => {
      const { loss, grads } = this.#differentiate(tensors);
      return { loss, ...this.#update(grads) };
    });
    this.#add = jit((tensors: BatchTensors, share: Tensor) => {
      const { loss, grads } = this.#differentiate(tensors, share);
      for (const [name, sum] of this.#sums) sum.set(sum.value.add(gradientOf(grads, name)));
      return loss;
    });
    this.#apply = jit(() => {
      const updated = this.#update(
        new Map([...this.#sums].map(([name, sum]) => [name, sum.value])),
      );
      for (const sum of this.#sums.values()) {
        sum.set(zeros(sum.shape, { device: sum.held.device }));
      }
      return updated;
    });
    this.#measure = jit((tensors: BatchTensors) => this.#loss(model, tensors));
  }

  #makeSums(): void {
    for (const [name, parameter] of trainableOf(this.model)) {
      const zero = zeros(parameter.shape, { device: parameter.held.device });
      this.#sums.set(name, new Cell(zero, `sum of gradients of ${name}`));
      zero.dispose();
    }
  }

  /** The loss in the trainer's precision, itself in f32. */
  #loss(model: TrainableModel, tensors: BatchTensors): Tensor {
    return autocast(this.precision, () => lossOf(model, tensors)).cast('f32');
  }

  /** The loss, by its share of the step, and its gradients; these scaled where there is a scaler. */
  #differentiate(tensors: BatchTensors, share?: Tensor) {
    let loss: Tensor | undefined;
    const { grads } = valueAndGrad((model: TrainableModel) => {
      const whole = this.#loss(model, tensors);
      loss = share ? whole.mul(share) : whole;
      return this.scaler ? this.scaler.scale(loss) : loss;
    })(this.model);
    return { loss: loss as unknown as Tensor, grads };
  }

  /** Clips and updates; the norm before clipping. */
  #update(grads: ReadonlyMap<string, Tensor>): Updated {
    const { scaler } = this;
    if (!scaler) {
      const { norm, clipped } = this.#clip(grads);
      this.optimizer.update(clipped);
      return { norm };
    }
    const scale = scaler.present;
    const { grads: unscaled, finite } = scaler.unscale(grads);
    const { norm, clipped } = this.#clip(unscaled);
    const changed = {
      parameters: () => trainableOf(this.model),
      state: () => this.optimizer.state(),
      update: (found: ReadonlyMap<string, Tensor>) => this.optimizer.update(found),
    };
    scaler.step(changed, clipped, finite);
    return { norm, scaling: { scale, finite, skipped: scaler.skipped } };
  }

  #clip(grads: ReadonlyMap<string, Tensor>) {
    if (this.#clipNorm === undefined) return { norm: globalNorm(grads), clipped: grads };
    const { norm, grads: clipped } = clipByGlobalNorm(grads, this.#clipNorm);
    return { norm, clipped };
  }

  /**
   * One step by `accumulate` micro-batches, each with at least one token that counts.
   *
   * @throws TypeError for another number of batches
   */
  async step(batches: readonly TokenBatch[], lr: number): Promise<StepResult> {
    if (batches.length !== this.accumulate) {
      throw badArgument('Trainer.step', 'batches', batches.length, `${this.accumulate} of them`);
    }
    this.optimizer.setLearningRate(lr);
    const [first] = batches;
    if (batches.length === 1 && first) {
      return this.#with(first, async (tensors, keep) => {
        const { loss, ...updated } = keep(await this.#whole(tensors));
        return { loss: await loss.item(), ...(await numbersOf(updated)) };
      });
    }
    const weights = batches.map(weightOf);
    const total = weights.reduce((sum, w) => sum + w, 0);
    let loss = 0;
    for (const [i, batch] of batches.entries()) {
      loss += await this.#with(batch, async (tensors, keep) => {
        // An argument, not a constant: of a constant every value would be a program of its own.
        const share = keep(
          tensor((weights[i] as number) / total, { device: tensors.inputs.device }),
        );
        return keep(await this.#add(tensors, share)).item();
      });
    }
    const updated = await this.#apply();
    const numbers = await numbersOf(updated);
    dispose(updated);
    return { loss, ...numbers };
  }

  /** The loss of a batch, in nats per token; nothing changes. */
  evaluate(batch: TokenBatch): Promise<number> {
    return this.#with(batch, async (tensors, keep) => keep(await this.#measure(tensors)).item());
  }

  /** Runs `body` with a batch on the device; frees that and what goes through `keep`. */
  async #with<T>(
    batch: TokenBatch,
    body: (tensors: BatchTensors, keep: <V extends object>(value: V) => V) => Promise<T>,
  ): Promise<T> {
    const tensors = tensorsOf(this.model, batch, [this.batch, this.sequence]);
    const used: object[] = [tensors];
    try {
      return await body(tensors, (value) => {
        used.push(value);
        return value;
      });
    } finally {
      for (const value of used) dispose(value);
    }
  }

  /**
   * What training will take, before anything is computed: sizes of what stays, and the compiler's own
   * plan of the steps' intermediates. Compiles the step.
   *
   * @param weighted whether the batches have weights
   */
  memory(weighted: boolean): TrainingMemory {
    const size = this.batch * this.sequence;
    const example: TokenBatch = {
      inputs: new Int32Array(size),
      targets: new Int32Array(size),
      ...(weighted && { weights: new Float32Array(size) }),
    };
    const tensors = tensorsOf(this.model, example, [this.batch, this.sequence]);
    const share = tensor(1, { device: tensors.inputs.device });
    let activations: number;
    try {
      const programs =
        this.accumulate === 1
          ? [this.#whole.memory(tensors)]
          : [this.#add.memory(tensors, share), this.#apply.memory()];
      activations = Math.max(...programs.map((p) => p.scratchBytes + p.resultBytes));
    } finally {
      dispose(tensors);
      dispose(share);
    }
    const parts = { ...this.standing(), activations, batch: size * (weighted ? 12 : 8) };
    return { ...parts, total: Object.values(parts).reduce((sum, bytes) => sum + bytes, 0) };
  }

  /** The part of `memory` that needs no compilation. */
  standing(): Pick<TrainingMemory, 'parameters' | 'gradients' | 'optimizer'> {
    const { model, scaler } = this;
    const held = 'state' in model && typeof model.state === 'function' ? model.state() : undefined;
    return {
      parameters: bytesOf((held as ReadonlyMap<string, Cell>) ?? model.parameters()),
      gradients: bytesOf(this.#sums),
      optimizer: bytesOf(this.optimizer.state()) + (scaler ? bytesOf(scaler.state()) : 0),
    };
  }

  dispose(): void {
    for (const program of [this.#whole, this.#add, this.#apply, this.#measure]) program.dispose();
    for (const sum of this.#sums.values()) sum.dispose();
    this.scaler?.dispose();
    this.optimizer.dispose();
  }
}

async function numbersOf({ norm, scaling }: Updated): Promise<Omit<StepResult, 'loss'>> {
  const gradNorm = await norm.item();
  if (!scaling) return { gradNorm };
  const { scale, finite, skipped } = scaling;
  return {
    gradNorm,
    scaling: {
      scale: await scale.item(),
      skipped: (await finite.item()) === 0,
      skippedSteps: await skipped.item(),
    },
  };
}

function trainableOf(model: TrainableModel): Map<string, Parameter> {
  return new Map([...model.parameters()].filter(([, { trainable }]) => trainable));
}

/** The device of a model's parameters. */
function on(model: TrainableModel) {
  const [parameter] = model.parameters().values();
  return parameter && { device: parameter.held.device };
}

function gradientOf(grads: ReadonlyMap<string, Tensor>, name: string): Tensor {
  const found = grads.get(name);
  if (!found) throw new TypeError(`Trainer: the gradient of ${name} is missing`);
  return found;
}

function dispose(value: object): void {
  if ('dispose' in value && typeof value.dispose === 'function') value.dispose();
  else for (const item of Object.values(value)) if (typeof item === 'object' && item) dispose(item);
}

function bytesOf(cells: ReadonlyMap<string, Cell>): number {
  return [...cells.values()].reduce((n, { size, dtype }) => n + size * DTYPES[dtype].bytes, 0);
}
