import type { NodeOf } from '../../ir/graph/types.ts';
import { attentionTemplates } from './attention.ts';
import type { CallTemplate } from './call-template.ts';
import { activationsTemplate } from './packed-activations.ts';
import { productTemplate } from './packed-product.ts';

/** The calls that have a template, by name. */
export const TEMPLATES: ReadonlyMap<string, CallTemplate> = new Map([
  ...attentionTemplates,
  ['packed.activations', activationsTemplate],
  ['packed.product', productTemplate],
]);

/** True when one kernel computes both calls: templates of one family over the same sources. */
export function sharesKernel(a: NodeOf<'call'>, b: NodeOf<'call'>): boolean {
  const family = TEMPLATES.get(a.arg.name)?.family(a);
  return (
    family !== undefined &&
    family === TEMPLATES.get(b.arg.name)?.family(b) &&
    a.arg.name !== b.arg.name &&
    JSON.stringify(a.arg.attributes) === JSON.stringify(b.arg.attributes) &&
    a.src.length === b.src.length &&
    a.src.every((source, i) => source === b.src[i])
  );
}
