import { describe, expect, it } from 'vitest';
import { compileProgram } from '../../src/compile/index.ts';
import { KernelInterpreter, WasmDevice } from '../../src/device/index.ts';
import { DTYPES, type TypedArray } from '../../src/ir/dtype.ts';
import * as g from '../../src/ir/graph/build.ts';
import { gradientGraph } from '../../src/ir/graph/gradient.ts';
import type { Node } from '../../src/ir/graph/types.ts';
import type { QuantScheme } from '../../src/ir/quantization.ts';
import { namedNativeDevices } from '../support/native-devices.ts';
import { firstDifference, numbers, runGraph } from '../support/run-graph.ts';

const SIZE = 1024;
const INT4: QuantScheme = { bits: 4, block: 32, zeroPoint: true };

const packed = g.bufferNode('u8', [SIZE, SIZE / 2], 'packed');
const scales = g.bufferNode('f16', [SIZE, SIZE / 32], 'scales');
const zeros = g.bufferNode('u8', [SIZE, SIZE / 32], 'zeros');
const weight = g.dequantize(packed, scales, zeros, INT4);
const x = g.bufferNode('f32', [8, SIZE], 'x');
const linear = g.dot(x, g.permute(weight, [1, 0]), 0, 1);

/** Bytes of the largest array that a program keeps beside its inputs. */
function largestKept(outputs: readonly Node[], inputs: readonly g.BufferNode[]): number {
  const { kernels, outputs: bound } = compileProgram(outputs, inputs);
  const arrays = kernels.flatMap((k) => [
    ...k.buffers.filter((b) => b.role === 'out'),
    ...k.locals,
  ]);
  return Math.max(...[...arrays, ...bound].map((b) => b.size * DTYPES[b.dtype].bytes));
}

describe('quantised weights', () => {
  it('are unpacked block by block inside the product', () => {
    const inputs = [x, packed, scales, zeros];
    expect(compileProgram([linear], inputs).steps).toHaveLength(1);
    expect(largestKept([linear], inputs)).toBeLessThan((SIZE * SIZE * 4) / 8);
  });

  it('stay packed in the gradient of the input, and where several products share them', () => {
    const loss = g.reshape(g.reduce('sum', g.binary('mul', linear, linear), [0, 1]), []);
    const [dx] = gradientGraph([loss], [g.constLike(loss, 1)], [x]);
    const kept = largestKept([loss, dx], [x, packed, scales, zeros]);
    expect(kept).toBeLessThan((SIZE * SIZE * 4) / 8);
  });

  it('are unpacked for the rows that an embedding looks up', () => {
    const tokens = g.bufferNode('i32', [3], 'tokens');
    const index = g.expand(g.reshape(tokens, [3, 1]), [3, SIZE]);
    const program = compileProgram([g.gather(weight, index, 0)], [tokens, packed, scales, zeros]);
    expect(program.steps).toHaveLength(1);
    expect(program.scratchBytes).toBe(0);
  });

  it('rows of codes are read two bytes for four elements', () => {
    const { kernels } = compileProgram([weight], [packed, scales, zeros]);
    const loads = (body: (typeof kernels)[0]['body']): number =>
      body.reduce((n, s) => {
        if (s.kind === 'loop') return n + loads(s.body);
        return (
          n + Number(s.kind === 'load' && s.buffer.dtype === 'u8' && s.buffer.size > SIZE * 32)
        );
      }, 0);
    expect(loads(kernels[0].body)).toBe(2);
  });
});

describe('quantising', () => {
  const schemes: readonly QuantScheme[] = [4, 8].flatMap((bits) =>
    [6, 8, 32].flatMap((block) =>
      [true, false].map((zeroPoint) => ({ bits: bits as 4 | 8, block, zeroPoint })),
    ),
  );

  it.each(schemes)(
    '$bits bits, blocks of $block, zero points $zeroPoint: same bits everywhere',
    async (scheme) => {
      const shape = [3, 96];
      const values = g.bufferNode('f32', shape, 'values');
      const blocks = [3, 96 / scheme.block];
      const s = g.bufferNode('f32', blocks, 's');
      const z = scheme.zeroPoint
        ? g.cast(g.unary('abs', g.binary('mul', s, g.constLike(s, 9))), 'u8')
        : undefined;
      const codes = g.quantize(values, s, z, scheme);
      const back = g.dequantize(codes, s, z, scheme);
      const moved = g.flip(
        g.shrink(g.permute(back, [1, 0]), [
          [5, 80],
          [0, 3],
        ]),
        [0, 1],
      );
      const outputs = [
        codes,
        back,
        moved,
        g.pad(
          back,
          [
            [1, 0],
            [3, 2],
          ],
          0,
        ),
      ];
      const data = [numbers(1, 288), numbers(2, blocks[0] * blocks[1]).map((v) => v / 8)];
      const runs: TypedArray[][] = [];
      for (const device of [
        new KernelInterpreter(true),
        new WasmDevice({ relaxedSimd: true, threads: 1 }),
        ...namedNativeDevices().map(([, device]) => device),
      ]) {
        for (const fuse of [true, false])
          runs.push(await runGraph(device, outputs, [values, s], data, { fuse }));
      }
      outputs.forEach((_, o) => {
        for (const run of runs) expect(firstDifference(run[o], runs[0][o])).toBe(-1);
      });
    },
  );
});
