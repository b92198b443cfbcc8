import { debug, debugging } from '../base/env.ts';
import { rebuild } from '../ir/graph/rebuild.ts';
import type { Node, NodeOf } from '../ir/graph/types.ts';
import { type KernelTarget, WASM_KERNELS } from '../ir/kernel/types.ts';
import { TEMPLATES } from './kernels/templates.ts';

/** What became of a call. */
export interface CallDecision {
  readonly name: string;
  /** Why its body stands in its place; undefined: a template computes it. */
  readonly inlined: string | undefined;
}

/** Which calls templates take: none, those that they make faster, or all that they can. */
export type TemplateUse = 'none' | 'faster' | 'all';

/**
 * Decides for each call: a template takes it, or its body replaces it.
 *
 * @param target what kernels are built for
 */
export function decideCalls(
  outputs: readonly Node[],
  use: TemplateUse,
  target: KernelTarget = WASM_KERNELS,
): { readonly outputs: Node[]; readonly decisions: readonly CallDecision[] } {
  const decisions: CallDecision[] = [];
  const decide = (node: Node): Node => {
    if (node.op !== 'call') return node;
    const { name } = node.arg;
    const inlined = refusal(node, use, target);
    decisions.push({ name, inlined });
    if (debugging(1)) {
      debug(`call ${name}: ${inlined === undefined ? 'template' : `inlined (${inlined})`}`);
    }
    return inlined === undefined ? node : inline(node);
  };
  const inline = (node: NodeOf<'call'>): Node => {
    const { parameters, body } = node.arg;
    const sources = new Map(parameters.map((p, i) => [p.id, node.src[i]]));
    return rebuild([body], (inner) => sources.get(inner.id) ?? decide(inner))[0];
  };
  return { outputs: rebuild(outputs, decide), decisions };
}

function refusal(node: NodeOf<'call'>, use: TemplateUse, target: KernelTarget): string | undefined {
  if (use === 'none') return 'templates are off';
  const template = TEMPLATES.get(node.arg.name);
  if (!template) return 'no template of this name';
  return template.refusal(node, target) ?? (use === 'faster' ? template.slower(node) : undefined);
}
