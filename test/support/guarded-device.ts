import { breadcrumbFile, isaSetting } from '../../src/base/env.ts';
import { Breadcrumb } from '../../src/device/native/breadcrumb.ts';
import { CONTROL_BYTES } from '../../src/device/native/control.ts';
import { callsOf } from '../../src/device/native/steps.ts';
import {
  type NativeMachine,
  nativeRuntime,
  nativeSupport,
  nativeTarget,
} from '../../src/device/native/support.ts';
import { RunTable } from '../../src/device/native/table.ts';
import type { Allocation, Device, Executable } from '../../src/device/types.ts';
import { arrayClass, DTYPES, type DType, type TypedArray } from '../../src/ir/dtype.ts';
import { indexOutOfRange } from '../../src/ir/graph/ops/indexing.ts';
import {
  ALIGNMENT,
  alignUp,
  CONTROL_WORDS,
  type Code,
  type RunPlan,
  type Target,
} from '../../src/ir/program.ts';
import { guardedCall } from './guarded-call.ts';
import { type Edge, GuardedMemory, type GuardedPiece } from './guarded-memory.ts';

export type NativeTarget = Target & { readonly kind: 'x64' };

/** Content of arenas before a run: numbers that nothing computes. */
const GARBAGE = 0xa5;

interface Piece extends Allocation, GuardedPiece {}

/**
 * Instructions of this machine, or those of TERSOR_ISA: of avx512 and avx2, with and without dot
 * products of bytes, with each way to multiply bf16, and with all tiles.
 */
export function nativeTargets(): readonly NativeTarget[] {
  const support = nativeSupport();
  if ('reason' in support) return [];
  const isas = support.isa === 'avx512' ? (['avx512', 'avx2'] as const) : (['avx2'] as const);
  const wish = isaSetting();
  return isas
    .filter((isa) => wish === undefined || isa === wish)
    .map((isa) => nativeTarget(support, isa, 1, isa === 'avx512' ? 'f32' : undefined))
    .flatMap((target) => {
      const plain = { ...target, byteTiles: false };
      const narrow = target.vnni ? [{ ...plain, vnni: false }] : [];
      return [plain, ...narrow, ...bf16Ways(support, target)];
    });
}

function bf16Ways({ features }: NativeMachine, target: NativeTarget): NativeTarget[] {
  if (!target.bf16) return [];
  const pairs = { ...target, bf16Products: 'pairs', byteTiles: false } as const;
  const hasTiles = features.amxTile && features.amxBf16;
  return hasTiles ? [pairs, { ...target, bf16Products: 'tiles' }] : [pairs];
}

/**
 * Runs x86-64 code on this thread, with every array between pages that cannot be accessed, and sees
 * to it that code leaves alone what is not its own: memory beside its arrays, registers of its caller.
 */
export class GuardedDevice implements Device {
  readonly name = 'native';
  readonly target: NativeTarget;
  readonly runsAside = false;
  readonly liveBytes = 0;
  readonly capacity = Number.POSITIVE_INFINITY;
  readonly #memory = new GuardedMemory(nativeRuntime().system);
  /** Where arrays lie from now on. */
  edge: Edge = 'end';
  /** Whether programs run kernel by kernel instead of by their `run`. */
  byKernels = false;

  readonly #breadcrumb: Breadcrumb | undefined;

  constructor(target: NativeTarget) {
    this.target = target;
    const file = breadcrumbFile();
    if (file !== undefined) this.#breadcrumb = new Breadcrumb(file);
  }

  allocate(bytes: number): Piece {
    return this.#memory.take(bytes, this.edge);
  }

  free(allocation: Allocation): void {
    this.#memory.give(allocation as Piece);
  }

  write(allocation: Allocation, data: TypedArray): void {
    const source = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    this.#memory.bytesOf(allocation as Piece).set(source);
  }

  read(allocation: Allocation, dtype: DType, size: number): TypedArray {
    const bytes = this.#memory.bytesOf(allocation as Piece).slice(0, size * DTYPES[dtype].bytes);
    return new (arrayClass(dtype))(bytes.buffer as ArrayBuffer);
  }

  /** Outputs begin at multiples of 64: such a piece with the content of one that may not. */
  #aligned(piece: Piece): GuardedPiece {
    if (piece.address % ALIGNMENT === 0) return piece;
    const copy = this.#memory.take(alignUp(piece.bytes), this.edge);
    const bytes = this.#memory.bytesOf(copy);
    bytes.set(this.#memory.bytesOf(piece));
    bytes.fill(GARBAGE, piece.bytes);
    return copy;
  }

  /** Takes the content of such a piece back. */
  #bring(copy: GuardedPiece, piece: Piece): void {
    if (copy === piece) return;
    const bytes = this.#memory.bytesOf(copy);
    this.#memory.bytesOf(piece).set(bytes.subarray(0, piece.bytes));
    const behind = bytes.subarray(piece.bytes).findIndex((byte) => byte !== GARBAGE);
    if (behind >= 0) throw new Error(`byte ${behind} behind an output was written`);
    this.#memory.give(copy);
  }

  async load(code: Code): Promise<Executable> {
    if (code.kind !== 'x64') throw new Error(`native cannot run ${code.kind}`);
    const { plan, bytes, entry, kernelEntries, sharedLoops } = code;
    const { code: codeMemory } = nativeRuntime();
    const address = codeMemory.install(bytes);
    const call = guardedCall();
    return {
      run: (sources, targets, values) => {
        const table = new RunTable(plan, sharedLoops);
        const own = [table.bytes, CONTROL_BYTES, plan.scratchBytes, plan.localBytes, 8192];
        const pieces = own.map((size) => this.#memory.take(size, this.edge));
        const [rows, control, scratch, local, record] = pieces;
        const aligned = targets.map((piece) => this.#aligned(piece as Piece));
        [...sources, ...aligned, scratch, local].forEach((piece, i) => {
          table.set(i, (piece as Piece).address);
        });
        for (const arena of [scratch, local]) this.#memory.bytesOf(arena).fill(GARBAGE);
        this.#memory.bytesOf(control).fill(0);
        table.set(table.slots.counters, rows.address + table.countersOffset);
        table.setVars(values);
        table.set(table.slots.count, control.address);
        const put = (piece: GuardedPiece, words: Uint32Array) =>
          this.#memory.bytesOf(piece).set(new Uint8Array(words.buffer, 0, words.byteLength));
        put(rows, table.content);
        const failure = () =>
          new Int32Array(this.#memory.bytesOf(control).slice(0, CONTROL_WORDS.arrivals).buffer);
        let failed = 0;
        if (this.byKernels || this.#breadcrumb) {
          let step = 0;
          for (const next of callsOf(plan, table, control.address)) {
            const { kernel, record: words, checks } = next;
            step++;
            this.#breadcrumb?.before(next);
            put(record, words);
            call(address + kernelEntries[kernel], record.address);
            if (checks && failure()[0] !== 0) failed = step;
            if (failed > 0) break;
          }
        } else failed = call(address + entry, rows.address, 0, 1, 0, plan.steps.length);
        const found = failure();
        for (const piece of pieces) this.#memory.give(piece);
        for (const [i, piece] of aligned.entries()) this.#bring(piece, targets[i] as Piece);
        if (failed > 0) throw refusal(plan, failed - 1, found);
      },
      dispose: () => codeMemory.remove(address),
    };
  }
}

function refusal(plan: RunPlan, step: number, [, check, value, size]: Int32Array): Error {
  return indexOutOfRange(plan.kernels[plan.steps[step].kernel].checks[check], value, size);
}
