import { badArgument } from '../base/errors.ts';
import {
  dequantize,
  type QuantSchemeName,
  quantize,
  quantScheme,
} from '../tensor/functions/index.ts';
import { Cell, type Device, type Tensor } from '../tensor/index.ts';
import { Module } from './module.ts';

/**
 * A matrix [out, in] as small integers with a scale for each block of its rows: what takes a
 * Parameter's place in a layer when a model is compressed.
 */
export class PackedWeight extends Module {
  readonly scheme: QuantSchemeName;
  readonly shape: readonly [rows: number, columns: number];
  /** Codes and scales in the layout of `QuantScheme`. */
  readonly codes: Cell;
  readonly scales: Cell;

  /** Takes references of its own: the caller may dispose of the tensors. */
  constructor(parts: {
    readonly scheme: QuantSchemeName;
    readonly shape: readonly [rows: number, columns: number];
    readonly codes: Tensor;
    readonly scales: Tensor;
  }) {
    super();
    this.scheme = parts.scheme;
    this.shape = parts.shape;
    this.codes = new Cell(parts.codes, 'codes');
    this.scales = new Cell(parts.scales, 'scales');
  }

  /** Rounds a matrix [out, in] to the nearest codes; `in` holds whole blocks of the scheme. */
  static round(weight: Tensor, scheme: QuantSchemeName): PackedWeight {
    const [rows, columns] = weight.shape as readonly number[];
    if (weight.rank !== 2) throw badArgument('PackedWeight', 'weight', weight.shape, 'a matrix');
    const { packed, scales, zeros } = quantize(weight, scheme);
    if (zeros) throw badArgument('PackedWeight', 'scheme', scheme, 'a scheme without zero points');
    const made = new PackedWeight({ scheme, shape: [rows, columns], codes: packed, scales });
    for (const t of [packed, scales]) t.dispose();
    return made;
  }

  get device(): Device {
    return this.codes.held.device;
  }

  /** Codes and scales in the layout of `QuantScheme`; the caller disposes of them. */
  plain(): { readonly codes: Tensor; readonly scales: Tensor } {
    return { codes: this.codes.value, scales: this.scales.value };
  }

  /** x [..., in] times the matrix's transpose, [..., out]. */
  linear(x: Tensor): Tensor {
    return x.linear(this.dequantize());
  }

  /** Rows of the matrix: integers [...] to [..., in]. */
  embedding(index: Tensor): Tensor {
    return this.dequantize().embedding(index);
  }

  /** The matrix as f32, computed where it is used. */
  dequantize(): Tensor {
    return dequantize({
      scheme: quantScheme(this.scheme, this.shape[1]),
      packed: this.codes.value,
      scales: this.scales.value,
    });
  }
}
