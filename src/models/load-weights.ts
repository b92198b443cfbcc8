import { type Checkpoint, type CheckpointEntry, openCheckpoint } from '../io/checkpoint.ts';
import type { FileSource } from '../io/source.ts';
import { isFloat } from '../ir/dtype.ts';
import { panelShapes } from '../ir/packed.ts';
import { packedDType, type QuantScheme, quantizedShapes } from '../ir/quantization.ts';
import { PackedWeight } from '../nn/index.ts';
import { quantScheme } from '../tensor/functions/index.ts';
import {
  type Device,
  mappedTensor,
  Parameter,
  realize,
  type Tensor,
  tensor,
} from '../tensor/index.ts';
import type { Architecture } from './architectures.ts';
import { type MatrixOf, matricesOf } from './packed.ts';
import { type QuantizationConfig, schemeOf } from './quantization-config.ts';
import type { CausalLM } from './types.ts';

/** Types that weights may have in memory; arithmetic is in f32 whichever it is. */
export type WeightType = (typeof WEIGHT_TYPES)[number];
export const WEIGHT_TYPES = ['f32', 'bf16', 'f16'] as const;

export interface LoadWeightsOptions extends Pick<Architecture, 'nameOf'> {
  readonly dtype: WeightType;
  readonly quantization: QuantizationConfig | undefined;
}

/**
 * Puts the tensors of a checkpoint into a model, one at a time; packed weights take the places of
 * parameters, whose numbers are never made.
 *
 * @throws Error naming the file and tensor that is missing, too much or of another type or shape
 */
export async function loadWeights(
  source: FileSource,
  model: CausalLM,
  options: LoadWeightsOptions,
): Promise<void> {
  const checkpoint = await openCheckpoint(source);
  try {
    await new Loading(checkpoint, model, options).run();
  } finally {
    await checkpoint.close();
  }
}

class Loading {
  readonly #checkpoint: Checkpoint;
  readonly #model: CausalLM;
  readonly #options: LoadWeightsOptions;
  readonly #device: Device;
  /** Names in the files by names in the model. */
  readonly #storedAs = new Map<string, string>();

  constructor(checkpoint: Checkpoint, model: CausalLM, options: LoadWeightsOptions) {
    this.#checkpoint = checkpoint;
    this.#model = model;
    this.#options = options;
    const [first] = model.parameters().values();
    this.#device = first.held.device;
    for (const stored of checkpoint.entries.keys()) {
      const name = options.nameOf(stored, model);
      if (name === undefined) continue;
      const other = this.#storedAs.get(name);
      if (other !== undefined) throw this.#wrong(stored, `it is ${other} once more`);
      this.#storedAs.set(name, stored);
    }
  }

  async run(): Promise<void> {
    const used = new Set<string>();
    const wanted = this.#model.parameters();
    const matrices = matricesOf(this.#model);
    const whole: [string, Parameter][] = [];
    const packed: string[] = [];
    // All is looked at before anything is read: large models take long.
    for (const [name, parameter] of wanted) {
      const isPacked = matrices.has(name) && this.#storedAs.has(`${name}.codes`);
      for (const part of isPacked ? [`${name}.codes`, `${name}.scales`] : [name]) {
        this.#require(part, parameter);
        used.add(part);
      }
      if (isPacked) packed.push(name);
      else whole.push([name, parameter]);
    }
    for (const [name, stored] of this.#storedAs) {
      if (!used.has(name)) throw this.#wrong(stored, 'the model of config.json has no such tensor');
    }
    for (const [name, parameter] of whole) this.#requireFit(name, parameter);
    for (const name of packed) await this.#putPacked(name, matrices.get(name) as MatrixOf);
    for (const [name, parameter] of whole) await this.#put(name, parameter);
  }

  #require(name: string, parameter: Parameter): void {
    if (this.#storedAs.has(name)) return;
    const shape = `[${parameter.shape.join(', ')}]`;
    throw this.#wrong(name, `it is missing; expected ${name} of ${shape} by config.json`);
  }

  #requireFit(name: string, { shape }: Parameter): void {
    const stored = this.#storedAs.get(name) as string;
    const found = this.#entry(stored);
    const expected = `[${shape.join(', ')}]`;
    if (!isFloat(found.dtype) || `[${found.shape.join(', ')}]` !== expected) {
      const got = `${found.dtype}[${found.shape.join(', ')}]`;
      throw this.#wrong(stored, `it is ${got}; expected floats ${expected} by config.json`);
    }
  }

  /** Reads one parameter; what is not of its type in memory is widened or rounded on the device. */
  async #put(name: string, parameter: Parameter): Promise<void> {
    const { dtype } = this.#options;
    const stored = await this.#read(this.#storedAs.get(name) as string);
    const value = stored.dtype === dtype ? stored : stored.cast(dtype);
    await realize(value);
    if (parameter.dtype === dtype) parameter.set(value);
    else this.#replace(name, new Parameter(value, parameter.name));
    for (const t of new Set([stored, value])) t.dispose();
  }

  /** Puts a parameter of another type into the module that holds it. */
  #replace(name: string, parameter: Parameter): void {
    const dot = name.lastIndexOf('.');
    const holder = this.#model.modules().get(name.slice(0, dot)) as unknown as {
      [property: string]: Parameter;
    };
    const property = name.slice(dot + 1);
    holder[property].dispose();
    holder[property] = parameter;
  }

  async #putPacked(name: string, matrix: MatrixOf): Promise<void> {
    const { shape } = matrix;
    const { quantization } = this.#options;
    const [codesAs, scalesAs] = ['codes', 'scales'].map(
      (part) => this.#storedAs.get(`${name}.${part}`) as string,
    );
    if (!quantization) {
      throw this.#wrong(codesAs, 'it is packed, but config.json has no quantization_config');
    }
    const named = schemeOf(quantization, name.replace(/\.weight$/, ''));
    const scheme = quantScheme(named, shape[1]);
    if (shape[1] % scheme.block !== 0) {
      throw this.#wrong(codesAs, `${named} does not fit rows of ${shape[1]} by config.json`);
    }
    // Panels are used where they lie; rows as they came are moved into panels.
    const layout = this.#entry(codesAs).shape.length === 2 ? 'plain' : 'panels';
    const shapes =
      layout === 'plain' ? plainShapes(name, shape, scheme) : panelShapes(shape, scheme);
    this.#requireType(codesAs, [packedDType(scheme)], shapes.codes as readonly number[]);
    this.#requireType(scalesAs, ['f16', 'bf16', 'f32'], shapes.scales as readonly number[]);
    const codes = await this.#read(codesAs);
    const scales = await this.#read(scalesAs);
    const packed = new PackedWeight({ scheme: named, shape, codes, scales, layout });
    for (const t of [codes, scales]) t.dispose();
    matrix.replace(await packed.realize());
  }

  #requireType(stored: string, dtypes: readonly string[], shape: readonly number[]): void {
    const found = this.#entry(stored);
    if (dtypes.includes(found.dtype) && `${found.shape}` === `${shape}`) return;
    throw this.#wrong(
      stored,
      `it is ${found.dtype}[${found.shape.join(', ')}]; expected ${dtypes.join(' or ')}` +
        `[${shape.join(', ')}] by config.json`,
    );
  }

  #entry(stored: string) {
    return this.#checkpoint.entries.get(stored) as CheckpointEntry;
  }

  /** A tensor where it lies in its file, if the device can have it there, else a copy. */
  async #read(stored: string): Promise<Tensor> {
    const place = this.#checkpoint.locate(stored);
    if (place && this.#device.map) {
      const { dtype, shape } = this.#entry(stored);
      return mappedTensor(place.path, place.offset, { dtype, shape, device: this.#device });
    }
    const { data, dtype, shape } = await this.#checkpoint.read(stored);
    return tensor(data, { dtype, shape, device: this.#device });
  }

  #wrong(name: string, what: string): Error {
    const file = this.#checkpoint.fileOf(name);
    return new Error(`file ${JSON.stringify(file)}, tensor ${name}: ${what}`);
  }
}

/** Shapes of codes and scales in the layout of `QuantScheme`. */
function plainShapes(name: string, shape: readonly [number, number], scheme: QuantScheme) {
  const { packed, blocks } = quantizedShapes(name, shape, scheme);
  return { codes: packed, scales: blocks };
}
