import { badArgument } from '../base/errors.ts';
import { type Module, PackedWeight, type Weight } from '../nn/index.ts';
import type { Parameter, Tensor } from '../tensor/index.ts';

/** A layer with a matrix that may be packed: Linear, Embedding, GPT-2's Conv1D. */
interface Holder extends Module {
  weight: Weight;
  /** The weight lies [in, out]; packed it is [out, in] like all others. */
  readonly isTransposed?: boolean;
}

/** A matrix of a model, by the name of its layer and `.weight`. */
export interface MatrixOf {
  readonly weight: Weight;
  /** [out, in], also where the parameter lies the other way. */
  readonly shape: readonly [rows: number, columns: number];
  /** The values [out, in]. */
  matrix(): Tensor;
  /** Puts a packed weight of that shape into the place of the parameter, which is freed. */
  replace(packed: PackedWeight): void;
}

/** The matrices of a model that may be packed, by dotted name; a tied head is its embedding. */
export function matricesOf(model: Module): Map<string, MatrixOf> {
  return new Map([...holdersOf(model)].map(([name, holder]) => [name, matrixOf(name, holder)]));
}

function matrixOf(name: string, holder: Holder): MatrixOf {
  const { weight, isTransposed } = holder;
  const replace = (packed: PackedWeight) => replaceIn(name, holder, packed);
  if (weight instanceof PackedWeight) {
    return { weight, shape: weight.shape, matrix: () => weight.dequantize(), replace };
  }
  const [a, b] = weight.shape as readonly [number, number];
  return {
    weight,
    shape: isTransposed ? [b, a] : [a, b],
    matrix: () => (isTransposed ? weight.value.transpose(0, 1) : weight.value),
    replace,
  };
}

/**
 * Puts a packed weight into the place of a parameter, which is freed. For many at once `matricesOf` gives
 * all places.
 *
 * @param name as in `matricesOf`: `model.layers.0.self_attn.q_proj.weight`
 * @throws TypeError for a name or a shape that does not fit the model
 */
export function replaceWeight(model: Module, name: string, packed: PackedWeight): void {
  const matrix = matricesOf(model).get(name);
  if (!matrix) throw badArgument('replaceWeight', 'name', name, 'a matrix of the model');
  matrix.replace(packed);
}

function replaceIn(name: string, holder: Holder, packed: PackedWeight): void {
  const { shape } = matrixOf(name, holder);
  if (packed.shape[0] !== shape[0] || packed.shape[1] !== shape[1]) {
    throw badArgument('replaceWeight', `the shape of ${name}`, packed.shape, `[${shape}]`);
  }
  const old = holder.weight;
  holder.weight = packed;
  old.dispose();
}

/** The layers whose `weight` is a matrix or packed, by the name of that. */
function holdersOf(model: Module): Map<string, Holder> {
  const found = new Map<string, Holder>();
  for (const [path, module] of model.modules()) {
    const { weight } = module as { weight?: Parameter | PackedWeight };
    if (weight === undefined || module instanceof PackedWeight) continue;
    if (weight.shape.length === 2) found.set(path ? `${path}.weight` : 'weight', module as Holder);
  }
  return found;
}
