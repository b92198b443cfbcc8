import { type Module, PackedWeight } from '../../nn/index.ts';

/** The weights of a model that are packed, each once. */
export function packedOf(model: Module): PackedWeight[] {
  const weights = [...model.modules().values()].flatMap((layer) =>
    'weight' in layer && layer.weight instanceof PackedWeight ? layer.weight : [],
  );
  return [...new Set(weights)];
}
