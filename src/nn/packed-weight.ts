import { badArgument } from '../base/errors.ts';
import {
  fromPanels,
  type PackedMatrix,
  type PlainCodes,
  packedLinear,
  packedValues,
  panelScales,
  type QuantSchemeName,
  quantize,
  quantScheme,
  requirePanels,
  toPanels,
} from '../tensor/functions/index.ts';
import { Cell, type Device, DTYPES, type DType, type Tensor } from '../tensor/index.ts';
import { Module } from './module.ts';

export interface PackedLinearOptions {
  /**
   * `int8` (the default) rounds the activations, too, with a scale for 32 neighbours, and multiplies
   * integers: fast. `f32` is the exact product with the weight's values.
   */
  readonly activations?: 'int8' | 'f32';
}

/**
 * A matrix [out, in] as small integers with a scale for each block of its rows: what takes a
 * Parameter's place in a layer when a model is compressed. In memory it lies in panels
 * (`ir/packed.ts`), from which products read it; so it lies in files, too.
 */
export class PackedWeight extends Module {
  readonly scheme: QuantSchemeName;
  readonly shape: readonly [rows: number, columns: number];
  /** Codes and scales in panels. */
  readonly codes: Cell;
  readonly scales: Cell;
  readonly #scaleType: DType;

  /**
   * Takes references of its own: the caller may dispose of the tensors. Codes and scales come in
   * panels, or in the layout of `QuantScheme`: then they are moved to panels when they are first used
   * (or by `realize`).
   *
   * @throws TypeError where the columns hold no whole blocks, or blocks no multiple of 32
   */
  constructor(parts: {
    readonly scheme: QuantSchemeName;
    readonly shape: readonly [rows: number, columns: number];
    readonly codes: Tensor;
    readonly scales: Tensor;
    /** How both lie (default plain). */
    readonly layout?: 'plain' | 'panels';
  }) {
    super();
    this.scheme = parts.scheme;
    this.shape = parts.shape;
    this.#scaleType = parts.scales.dtype;
    const scheme = quantScheme(parts.scheme, parts.shape[1]);
    requirePanels('PackedWeight', parts.shape, scheme);
    const moved = parts.layout !== 'panels';
    const { codes, scales } = moved
      ? toPanels(parts, parts.shape, scheme)
      : { codes: parts.codes, scales: panelScales(parts.scales) };
    this.codes = new Cell(codes, 'codes');
    this.scales = new Cell(scales, 'scales');
    for (const t of [codes, scales]) if (t !== parts.codes && t !== parts.scales) t.dispose();
  }

  /** Rounds a matrix [out, in] to the nearest codes; `in` holds whole blocks of the scheme. */
  static round(weight: Tensor, scheme: QuantSchemeName): PackedWeight {
    const [rows, columns] = weight.shape as readonly number[];
    if (weight.rank !== 2) throw badArgument('PackedWeight', 'weight', weight.shape, 'a matrix');
    requirePanels('PackedWeight', [rows, columns], quantScheme(scheme, columns));
    const { packed, scales } = quantize(weight, scheme);
    const made = new PackedWeight({ scheme, shape: [rows, columns], codes: packed, scales });
    for (const t of [packed, scales]) t.dispose();
    return made;
  }

  get device(): Device {
    return this.codes.held.device;
  }

  /** Bytes of codes and scales in memory. */
  get bytes(): number {
    return [this.codes, this.scales].reduce(
      (n, { size, dtype }) => n + size * DTYPES[dtype].bytes,
      0,
    );
  }

  /** Codes and scales in the layout of `QuantScheme`, scales of their first type; dispose of both. */
  plain(): PlainCodes {
    const { codes, scales } = fromPanels(this.#matrix());
    return { codes, scales: scales.cast(this.#scaleType) };
  }

  /** Codes and scales in panels, scales of their first type, as files keep them; dispose of both. */
  panels(): PlainCodes {
    const { codes, scales } = this.#matrix();
    return { codes, scales: scales.cast(this.#scaleType) };
  }

  /** Computes the panels now, and frees what they are made from. */
  async realize(): Promise<this> {
    await Promise.all([this.codes.held.realize(), this.scales.held.realize()]);
    return this;
  }

  /** x [..., in] times the matrix's transpose, [..., out]. */
  linear(x: Tensor, { activations = 'int8' }: PackedLinearOptions = {}): Tensor {
    switch (activations) {
      case 'int8':
        return packedLinear(x, this.#matrix());
      case 'f32':
        return x.linear(this.dequantize());
      default:
        throw badArgument(
          'PackedWeight',
          'activations',
          activations satisfies never,
          'int8 or f32',
        );
    }
  }

  /** Rows of the matrix: integers [...] to [..., in]. */
  embedding(index: Tensor): Tensor {
    return this.dequantize().embedding(index);
  }

  /** The matrix as f32, computed where it is used. */
  dequantize(): Tensor {
    return packedValues(this.#matrix());
  }

  #matrix(): PackedMatrix {
    return {
      scheme: quantScheme(this.scheme, this.shape[1]),
      shape: this.shape,
      codes: this.codes.value,
      scales: this.scales.value,
    };
  }
}
