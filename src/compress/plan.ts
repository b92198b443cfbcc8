import { badArgument } from '../base/errors.ts';
import { type MatrixOf, matricesOf } from '../models/index.ts';
import { Embedding, type Module, PackedWeight } from '../nn/index.ts';
import { type QuantSchemeName, quantScheme } from '../tensor/functions/index.ts';

/** The schemes of `tersor compress`; int8 has a scale for each 32 neighbours, as Q8_0 of GGUF. */
export const SCHEMES = {
  int8: 'int8-g32',
  'int4-g32': 'int4-g32',
  'int4-g128': 'int4-g128',
} as const satisfies Record<string, QuantSchemeName>;
export type Scheme = keyof typeof SCHEMES;

export interface PlanOptions {
  readonly scheme: Scheme;
  /** Layers that stay as they are: ends of names, or whole expressions between slashes. */
  readonly ignore?: readonly string[] | undefined;
}

/** What becomes of the weight of one layer. */
export interface Choice {
  /** Dotted name of the layer. */
  readonly layer: string;
  readonly matrix: MatrixOf;
  /** Undefined: it stays. */
  readonly scheme: QuantSchemeName | undefined;
  /** Why it stays, or why its scheme is not the one that was asked for. */
  readonly reason?: string;
}

/**
 * Chooses a scheme for each matrix of a model. Tables of embeddings take 8 bits: a few wrong steps in
 * them are seen by every layer above. A row that does not hold whole blocks of the scheme takes
 * smaller blocks, or stays.
 *
 * @throws TypeError for an unknown scheme, for `ignore` that matches nothing, for a packed model
 */
export function planCompression(model: Module, options: PlanOptions): Choice[] {
  const { scheme, ignore = [] } = options;
  if (!Object.hasOwn(SCHEMES, scheme)) {
    throw badArgument('compress', 'scheme', scheme, Object.keys(SCHEMES).join(', '));
  }
  const used = new Set<string>();
  const ignored = (name: string) => {
    const found = ignore.find((pattern) => matches(pattern, name));
    if (found !== undefined) used.add(found);
    return found;
  };
  const choices: Choice[] = [];
  const modules = model.modules();
  for (const [name, matrix] of matricesOf(model)) {
    const layer = name.replace(/\.weight$/, '');
    if (matrix.weight instanceof PackedWeight) {
      const expected = 'weights that are not packed: compress the model that it was made from';
      throw badArgument('compress', layer, matrix.weight.scheme, expected);
    }
    const pattern = ignored(layer);
    const isTable = modules.get(layer) instanceof Embedding;
    const choice =
      pattern === undefined
        ? choose(matrix.shape[1], scheme, isTable)
        : { scheme: undefined, reason: `named by ignore: ${pattern}` };
    choices.push({ layer, matrix, ...choice });
  }
  const idle = ignore.find((pattern) => !used.has(pattern));
  if (idle !== undefined) {
    const names = choices.map(({ layer }) => layer);
    const some = names.length > 4 ? [...names.slice(0, 4), '...'] : names;
    throw badArgument('compress', 'ignore', idle, `a name that fits a layer: ${some.join(', ')}`);
  }
  return choices;
}

function choose(
  columns: number,
  scheme: Scheme,
  isTable: boolean,
): Pick<Choice, 'scheme' | 'reason'> {
  const embedding = isTable && scheme !== 'int8';
  const order: readonly QuantSchemeName[] = embedding
    ? ['int8-g32']
    : scheme === 'int4-g128'
      ? ['int4-g128', 'int4-g32']
      : [SCHEMES[scheme]];
  const fits = order.find((name) => columns % quantScheme(name, columns).block === 0);
  if (fits === undefined) {
    return { scheme: undefined, reason: `rows of ${columns} do not hold whole blocks of 32` };
  }
  if (embedding) return { scheme: fits, reason: 'a table of embeddings' };
  if (fits === order[0]) return { scheme: fits };
  return { scheme: fits, reason: `rows of ${columns} do not hold whole blocks of 128` };
}

function matches(pattern: string, name: string): boolean {
  const expression = /^\/(.*)\/$/.exec(pattern)?.[1];
  if (expression === undefined) return name === pattern || name.endsWith(`.${pattern}`);
  return new RegExp(`^(?:${expression})$`).test(name);
}
