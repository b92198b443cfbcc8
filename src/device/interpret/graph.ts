import { InternalError } from '../../base/errors.ts';
import { arrayClass, type DType, type TypedArray } from '../../ir/dtype.ts';
import { decodeFloat, encodeFloat, isSmallFloat } from '../../ir/float-formats.ts';
import { interpretGraph } from '../../ir/graph/interpret.ts';
import type { NdArray } from '../../ir/graph/types.ts';
import type { Code, Target } from '../../ir/program.ts';
import { isStatic } from '../../ir/shape.ts';
import type { Device, Executable } from '../types.ts';
import { HostMemory } from './host-memory.ts';

/** The graph interpreter as a device: every op by its definition, in double precision. */
export class GraphInterpreter extends HostMemory implements Device {
  readonly name = 'interpret';
  readonly target: Target = { kind: 'graph' };

  async load(code: Code): Promise<Executable> {
    if (code.kind !== 'graph') throw new InternalError(`interpret cannot run ${code.kind}`);
    const { outputs, inputs } = code;
    return {
      run: (sources, targets, vars, signal) => {
        signal?.throwIfAborted();
        const buffers = new Map<number, NdArray>();
        inputs.forEach((node, i) => {
          const { shape } = node.arg;
          if (!isStatic(shape)) throw new InternalError('a bound buffer has a symbolic shape');
          const size = shape.reduce((n, d) => n * d, 1);
          const data = decode(this.read(sources[i], node.dtype, size), node.dtype);
          buffers.set(node.arg.id, { dtype: node.dtype, shape, data });
        });
        const results = interpretGraph(outputs, buffers, vars);
        results.forEach(({ data, dtype }, i) => {
          this.write(targets[i], encode(data, dtype));
        });
      },
      dispose: () => {},
    };
  }
}

function decode(data: TypedArray, dtype: DType): Float64Array {
  if (isSmallFloat(dtype)) return Float64Array.from(data, (bits) => decodeFloat(dtype, bits));
  return Float64Array.from(data);
}

function encode(data: Float64Array, dtype: DType): TypedArray {
  const Class = arrayClass(dtype);
  const out = new Class(data.length);
  for (let i = 0; i < data.length; i++) {
    out[i] = isSmallFloat(dtype) ? encodeFloat(dtype, data[i]) : data[i];
  }
  return out;
}
