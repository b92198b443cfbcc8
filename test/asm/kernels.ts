import { FunctionBuilder } from '../../src/asm/index.ts';

/**
 * The dot product of two f32 arrays: addresses and a count of floats, a multiple of four. It is
 * what a small kernel looks like, and what the golden text shows.
 */
export function dotProduct(): FunctionBuilder {
  const code = new FunctionBuilder({ params: ['i32', 'i32', 'i32'], results: ['f32'] });
  const [a, b, count] = [0, 1, 2];
  const sum = code.local('v128');
  const end = code.local('i32');
  code.emit('local.get', a).emit('local.get', count).emit('i32.const', 2).emit('i32.shl');
  code.emit('i32.add').emit('local.set', end);
  code.block(() => {
    code.emit('local.get', count).emit('i32.eqz').emit('br_if', 0);
    code.loop(() => {
      code.emit('local.get', sum);
      code.emit('local.get', a).emit('v128.load', { align: 4 });
      code.emit('local.get', b).emit('v128.load', { align: 4 });
      code.emit('f32x4.mul').emit('f32x4.add').emit('local.set', sum);
      for (const pointer of [b, a]) {
        code.emit('local.get', pointer).emit('i32.const', 16).emit('i32.add');
        code.emit(pointer === a ? 'local.tee' : 'local.set', pointer);
      }
      code.emit('local.get', end).emit('i32.lt_u').emit('br_if', 0);
    });
  });
  for (const lane of [0, 1, 2, 3]) {
    code.emit('local.get', sum).emit('f32x4.extract_lane', lane);
    if (lane > 0) code.emit('f32.add');
  }
  return code;
}
