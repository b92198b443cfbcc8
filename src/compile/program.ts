import { debug, debugging, fusionEnabled } from '../base/env.ts';
import { InternalError } from '../base/errors.ts';
import { DTYPES } from '../ir/dtype.ts';
import { makeTyped } from '../ir/graph/build.ts';
import { topological } from '../ir/graph/traverse.ts';
import type { Node } from '../ir/graph/types.ts';
import { kernelCost } from '../ir/kernel/cost.ts';
import { kernelKey, printKernel } from '../ir/kernel/print.ts';
import { isParallel } from '../ir/kernel/threads.ts';
import { type Kernel, type KernelTarget, WASM_KERNELS } from '../ir/kernel/types.ts';
import { verifyKernel } from '../ir/kernel/verify.ts';
import type { OutputBinding, Place, Program, Step } from '../ir/program.ts';
import { isVar, sizeOf, type Var } from '../ir/shape.ts';
import { decideCalls, type TemplateUse } from './calls.ts';
import { type GemmTiles, tilesFor } from './kernels/gemm-tiles.ts';
import { type LoweredKernel, type LowerOptions, lowerGroup } from './lower/group-kernel.ts';
import { groupKey } from './lower/group-key.ts';
import { rewriteGraph } from './rewrite/index.ts';
import { accessesOf, findBarriers } from './schedule/barriers.ts';
import { type Boundaries, chooseBoundaries } from './schedule/boundaries.ts';
import { type Group, joinGroups } from './schedule/groups.ts';
import { mayShareMemory } from './schedule/in-place.ts';
import { type Lifetime, localBytes, placeLocals, planArena } from './schedule/memory.ts';
import { orderTasks, type Task } from './schedule/order.ts';
import { printSchedule } from './schedule/print.ts';
import { dropWaits } from './schedule/waits.ts';

export interface CompileOptions {
  /** Join operations into kernels; false gives each its own (default: TERSOR_FUSION). */
  readonly fuse?: boolean;
  /** Which calls go to templates (default: those that are faster; none without fusion). */
  readonly templates?: TemplateUse;
  /** Sizes of the blocks of products (default: those that suit the target's vectors). */
  readonly tiles?: GemmTiles;
  /** What kernels are built for (default: 128-bit WebAssembly); its width never changes a bit. */
  readonly kernelTarget?: KernelTarget;
  /** Threads that will run the program together (default 1); they never change a bit. */
  readonly threads?: number;
  /** Outputs (by number) that would like to take over the memory of an input (by number). */
  readonly donations?: ReadonlyMap<number, number>;
}

export type ResolvedOptions = Required<CompileOptions>;

/** The options with what holds where they say nothing. */
export function resolveOptions(options: CompileOptions): ResolvedOptions {
  const { fuse = fusionEnabled(), kernelTarget = WASM_KERNELS } = options;
  const { tiles = tilesFor(kernelTarget) } = options;
  const { threads = 1, donations = new Map() } = options;
  const { templates = fuse ? 'faster' : 'none' } = options;
  return { fuse, templates, tiles, kernelTarget, threads, donations };
}

/**
 * Compiles a graph to kernels: give calls to templates or inline them, rewrite, choose what gets
 * memory, join into kernels, lower, plan memory.
 *
 * @param outputs what is computed; each gets a buffer of its own
 * @param inputs buffer nodes in the order in which they will be bound; all that the outputs need
 */
export function compileProgram(
  outputs: readonly Node[],
  inputs: readonly Node[],
  options: CompileOptions = {},
): Program {
  const { fuse, templates, tiles, kernelTarget, threads, donations } = resolveOptions(options);
  // An output must be computed by a kernel of its own even where it is an input, or another output.
  const decided = decideCalls(outputs, templates, kernelTarget).outputs;
  const { outputs: bare, waits } = dropWaits(rewriteGraph(decided));
  const copies = bare.map(asComputed);
  const boundaries = chooseBoundaries(topological(copies), copies, fuse, waits);
  const outputIds = new Set(copies.map((n) => n.id));
  const groups = joinGroups(boundaries, outputIds, fuse);
  const rootIds = new Set(boundaries.roots.map((r) => r.id));
  const hasBuffer = (node: Node) => node.op === 'buffer' || rootIds.has(node.id);
  const donated = new Set([...donations.keys()].map((output) => copies[output].id));
  const assembly = new Assembly(copies, inputs, donations, kernelTarget);
  // Whether a scatter may work in place is seen when all kernels are known, and changes its own.
  for (let inPlace = assembly.wished(); ; ) {
    const lower = lowerOnce({ hasBuffer, donated, tiles, kernelTarget, threads, inPlace });
    const lowered = groups.map((group) => ({ group, ...lower(group) }));
    const ordered = assembly.order(lowered, boundaries.waits);
    const granted = assembly.granted(inPlace, ordered);
    if (granted.size === inPlace.size) return assembly.assemble(ordered, inPlace);
    inPlace = granted;
  }
}

/** Lowers groups; those that do the same to other nodes share one kernel. */
function lowerOnce(options: LowerOptions): (group: Group) => LoweredKernel {
  const known = new Map<string, { kernel: Kernel; places: readonly number[] }>();
  return (group) => {
    const { key: what, nodes } = groupKey(group, options.hasBuffer);
    const inPlace = group.roots.some((root) => options.inPlace.has(root.id));
    const donated = group.roots.some((root) => options.donated.has(root.id));
    const key = `${what}${inPlace ? '!' : ''}${donated ? '~' : ''}`;
    let found = known.get(key);
    if (!found) {
      const { kernel, nodes: used } = lowerGroup(group, options);
      found = { kernel, places: used.map((node) => nodes.indexOf(node)) };
      known.set(key, found);
    }
    return { kernel: found.kernel, nodes: found.places.map((i) => nodes[i]) };
  };
}

function asComputed(node: Node, i: number, all: readonly Node[]): Node {
  const again = all.indexOf(node) < i;
  if (node.op !== 'buffer' && !again) return node;
  return makeTyped('cast', node.dtype, node.shape, [node], { to: node.dtype });
}

type Lowered = LoweredKernel & { readonly group: Group };

class Assembly {
  readonly #outputs: readonly Node[];
  readonly #inputs: readonly Node[];
  readonly #donations: ReadonlyMap<number, number>;
  readonly #kernelTarget: KernelTarget;
  readonly #inputNumber: Map<number, number>;
  readonly #outputNumber: Map<number, number>;

  constructor(
    outputs: readonly Node[],
    inputs: readonly Node[],
    donations: ReadonlyMap<number, number>,
    kernelTarget: KernelTarget,
  ) {
    this.#outputs = outputs;
    this.#inputs = inputs;
    this.#donations = donations;
    this.#kernelTarget = kernelTarget;
    this.#inputNumber = new Map(inputs.map((n, i) => [n.id, i]));
    this.#outputNumber = new Map(outputs.map((n, i) => [n.id, i]));
  }

  /** Scatters into an input whose memory they would like to take over. */
  wished(): Set<number> {
    const wishes = new Set<number>();
    for (const [output, input] of this.#donations) {
      const node = this.#outputs[output];
      if (node.op === 'scatter' && node.src[0] === this.#inputs[input]) wishes.add(node.id);
    }
    return wishes;
  }

  /** Those of them that may, as the kernels now are. */
  granted(wishes: ReadonlySet<number>, ordered: readonly Lowered[]): Set<number> {
    const granted = new Set<number>();
    this.#outputs.forEach((node, i) => {
      if (!wishes.has(node.id)) return;
      if (this.#reuse(i, ordered) !== undefined) granted.add(node.id);
      else if (debugging(1))
        debug(`an update of ${this.#donatedName(i)} copies it whole: not proven safe in place`);
    });
    return granted;
  }

  assemble(ordered: readonly Lowered[], inPlace: ReadonlySet<number>): Program {
    const { kernels: distinct, numbers } = this.#distinct(ordered);
    const { places, bytes } = this.#place(ordered);
    const reuse = this.#outputs.map((_, i) => this.#reuse(i, ordered));
    const barriers = findBarriers(
      ordered.map(({ kernel }, s) => accessesOf(kernel, places[s], reuse)),
    );
    const costs = distinct.map((kernel) => kernelCost(kernel).instructions);
    const steps = ordered.map(
      (lowered, s): Step => ({
        kernel: numbers[s],
        label: lowered.kernel.name,
        barrier: barriers[s],
        instructions: costs[numbers[s]],
        places: places[s],
      }),
    );
    const program: Program = {
      kernels: distinct,
      steps,
      inputs: this.#inputs.map((n) => binding(n)),
      outputs: this.#outputs.map(
        (n, i): OutputBinding => ({
          ...binding(n),
          mayReuse: reuse[i],
          keeps: inPlace.has(n.id),
        }),
      ),
      vars: collectVars(distinct, this.#outputs),
      scratchBytes: bytes,
      localBytes: Math.max(
        0,
        ...distinct.filter(isParallel).map((kernel) => placeLocals(kernel).bytes),
      ),
      firstCommit: firstCommit(ordered, this.#outputs, reuse),
      instructions: numbers.reduce((sum, number) => sum + costs[number], 0),
    };
    if (debugging(2)) debug(printSchedule(program));
    if (debugging(4)) for (const kernel of distinct) debug(printKernel(kernel));
    return program;
  }

  /**
   * Kernels that only write outputs go to the end (their order kept): they may then write over
   * inputs, since nothing that can still fail, or read them, comes later.
   */
  #commitsLast(kernels: readonly Lowered[]): Lowered[] {
    const readNodes = new Set<number>();
    for (const { kernel, nodes } of kernels) {
      kernel.buffers.forEach((buffer, i) => {
        if (buffer.role === 'in') readNodes.add(nodes[i].id);
      });
    }
    const isCommit = ({ group, kernel }: Lowered) =>
      kernel.checks.length === 0 && group.stored.every((n) => !readNodes.has(n.id));
    return [...kernels.filter((k) => !isCommit(k)), ...kernels.filter(isCommit)];
  }

  /**
   * The order in which kernels run.
   *
   * @param waits for each root that is held back, the roots to compute before it
   */
  order(kernels: readonly Lowered[], waits: Boundaries['waits']): Lowered[] {
    const last = this.#commitsLast(kernels);
    // What is computed again is kept for a short time only if all that needs it follows at once.
    return waits.size > 0 ? this.#lean(last, waits) : last;
  }

  /**
   * Kernels that free scratch move forward, but none that would like to write over an input before
   * the last that reads this input or can still fail.
   */
  #lean(kernels: readonly Lowered[], waits: Boundaries['waits']): Lowered[] {
    const makerOf = new Map<number, number>();
    kernels.forEach(({ group }, i) => {
      for (const root of group.roots) makerOf.set(root.id, i);
    });
    const reads = kernels.map(({ kernel, nodes }) => {
      return new Set(nodes.filter((_, b) => kernel.buffers[b].role === 'in').map((n) => n.id));
    });
    const tasks = kernels.map(({ group }, i): Task => {
      const held = group.roots.flatMap((root) => [...(waits.get(root.id) ?? [])]);
      const makers = [...reads[i], ...held].flatMap((id) => makerOf.get(id) ?? []);
      const overwritten = group.stored.flatMap((node) => this.#wishOf(node)?.id ?? []);
      const mustStay = (j: number) =>
        kernels[j].kernel.checks.length > 0 || overwritten.some((id) => reads[j].has(id));
      const blocked = overwritten.length > 0 ? [...kernels.keys()].filter(mustStay) : [];
      const scratch = group.stored.filter((node) => !this.#outputNumber.has(node.id));
      return {
        fills: new Map(scratch.map((node) => [node.id, bytesOf(node)])),
        reads: reads[i],
        after: new Set([...makers, ...blocked].filter((j) => j < i)),
      };
    });
    return orderTasks(tasks).map((i) => kernels[i]);
  }

  /** The input whose memory a node would like to take over. */
  #wishOf(node: Node): Node | undefined {
    const output = this.#outputNumber.get(node.id);
    const input = output === undefined ? undefined : this.#donations.get(output);
    return input === undefined ? undefined : this.#inputs[input];
  }

  /** Equal kernels (one for each layer) are compiled once. */
  #distinct(ordered: readonly Lowered[]): { kernels: Kernel[]; numbers: number[] } {
    const kernels: Kernel[] = [];
    const known = new Map<string, number>();
    const numberOf = new Map<Kernel, number>();
    const numbers = ordered.map(({ kernel }) => {
      const again = numberOf.get(kernel);
      if (again !== undefined) return again;
      const key = kernelKey(kernel);
      let number = known.get(key);
      if (number === undefined) {
        verifyKernel(kernel, this.#kernelTarget);
        number = kernels.push(kernel) - 1;
        known.set(key, number);
      }
      numberOf.set(kernel, number);
      return number;
    });
    return { kernels, numbers };
  }

  /** Where every buffer of every step lies. */
  #place(ordered: readonly Lowered[]): { places: Place[][]; bytes: number } {
    const made = new Map<number, number>();
    const lastRead = new Map<number, number>();
    ordered.forEach(({ group, kernel, nodes }, s) => {
      for (const node of group.stored) made.set(node.id, s);
      kernel.buffers.forEach((_, i) => {
        lastRead.set(nodes[i].id, s);
      });
    });
    const lifetimes: Lifetime[] = [];
    const slots = new Map<number, number>();
    const reserve = (bytes: number, from: number, to: number) =>
      lifetimes.push({ bytes, from, to }) - 1;
    ordered.forEach(({ group }, s) => {
      for (const node of group.stored) {
        if (this.#outputNumber.has(node.id)) continue;
        slots.set(node.id, reserve(bytesOf(node), s, lastRead.get(node.id) ?? s));
      }
    });
    // A kernel that one thread runs alone needs its locals once, not for every thread.
    const alone = ordered.map(({ kernel }, s) =>
      isParallel(kernel) ? [] : kernel.locals.map((local) => reserve(localBytes(local), s, s)),
    );
    const { offsets, bytes } = planArena(lifetimes);
    const scratch = (slot: number | undefined): Place => {
      if (slot === undefined) throw new InternalError('a buffer has no place');
      return { kind: 'scratch', offset: offsets[slot] };
    };
    const place = (node: Node): Place => {
      const input = this.#inputNumber.get(node.id);
      if (input !== undefined) return { kind: 'input', index: input };
      if (node.op === 'buffer') throw new InternalError(`the buffer ${node.arg.name} is no input`);
      const output = this.#outputNumber.get(node.id);
      return output === undefined ? scratch(slots.get(node.id)) : { kind: 'output', index: output };
    };
    const places = ordered.map(({ kernel, nodes }, s) => [
      ...nodes.map(place),
      ...(isParallel(kernel) ? placeLocals(kernel).places : alone[s].map(scratch)),
    ]);
    return { places, bytes };
  }

  #donatedName(output: number): string {
    const node = this.#inputs[this.#donations.get(output) ?? -1];
    return node?.op === 'buffer' ? node.arg.name : 'an input';
  }

  /** The input whose memory an output may take over, when the wish can be granted. */
  #reuse(output: number, ordered: readonly Lowered[]): number | undefined {
    const input = this.#donations.get(output);
    if (input === undefined) return undefined;
    const [node, source] = [this.#outputs[output], this.#inputs[input]];
    if (bytesOf(node) !== bytesOf(source)) return undefined;
    const at = ordered.findIndex(({ group }) => group.stored.includes(node));
    const { kernel, nodes } = ordered[at];
    const later = ordered.slice(at + 1);
    const unsafe = later.some((k) => k.kernel.checks.length > 0 || k.nodes.includes(source));
    if (unsafe || kernel.checks.length > 0) return undefined;
    const from = kernel.buffers[nodes.indexOf(source)];
    if (from && !mayShareMemory(kernel, from, kernel.buffers[nodes.indexOf(node)]))
      return undefined;
    return input;
  }
}

/** The first step that may write over an input. */
function firstCommit(
  ordered: readonly Lowered[],
  outputs: readonly Node[],
  reuse: readonly (number | undefined)[],
): number {
  const reusing = new Set(outputs.filter((_, i) => reuse[i] !== undefined));
  const at = ordered.findIndex(({ group }) => group.stored.some((node) => reusing.has(node)));
  return at < 0 ? ordered.length : at;
}

function bytesOf(node: Node): number {
  return sizeOf(node.shape) * DTYPES[node.dtype].bytes;
}

function binding(node: Node) {
  const name = node.op === 'buffer' ? node.arg.name : node.op;
  return { name, dtype: node.dtype, size: sizeOf(node.shape) };
}

function collectVars(kernels: readonly Kernel[], outputs: readonly Node[]): Var[] {
  const vars = new Map<string, Var>();
  for (const kernel of kernels) for (const v of kernel.vars) vars.set(v.name, v);
  for (const node of outputs) for (const d of node.shape) if (isVar(d)) vars.set(d.name, d);
  return [...vars.values()];
}
