import { FunctionBuilder } from '../../../asm/index.ts';
import { BARRIER } from '../../../ir/program.ts';

/** Looks at the counter before a thread goes to sleep: some 50 microseconds. */
const SPINS = 20_000;
/** Nanoseconds after which a sleeping thread looks again, should it have missed the call. */
const NAP = 1_000_000n;

/**
 * barrier(target, threads): counts the thread in and returns when `target` arrivals have been
 * counted, all barriers of the run together. It spins first, since threads mostly arrive within
 * microseconds of each other, and then sleeps; the last one to arrive wakes the sleepers.
 */
export function barrierFunction(): FunctionBuilder {
  const f = new FunctionBuilder({ params: ['i32', 'i32'], results: [] });
  const [target, threads] = [0, 1];
  const [seen, spins] = [f.local('i32'), f.local('i32')];
  const returnIf = () => f.if(() => f.emit('return'));
  f.emit('local.get', threads).emit('i32.const', 1).emit('i32.eq');
  returnIf();
  f.emit('i32.const', BARRIER).emit('i32.const', 1).emit('i32.atomic.rmw.add');
  f.emit('i32.const', 1).emit('i32.add').emit('local.get', target).emit('i32.ge_s');
  f.if(() => {
    f.emit('i32.const', BARRIER).emit('i32.const', -1).emit('memory.atomic.notify');
    f.emit('drop').emit('return');
  });
  const look = () => {
    f.emit('i32.const', BARRIER).emit('i32.atomic.load').emit('local.tee', seen);
    f.emit('local.get', target).emit('i32.ge_s');
    returnIf();
  };
  f.loop(() => {
    look();
    f.emit('local.get', spins).emit('i32.const', 1).emit('i32.add').emit('local.tee', spins);
    f.emit('i32.const', SPINS).emit('i32.lt_s').emit('br_if', 0);
  });
  f.loop(() => {
    look();
    f.emit('i32.const', BARRIER).emit('local.get', seen).emit('i64.const', NAP);
    f.emit('memory.atomic.wait32').emit('drop').emit('br', 0);
  });
  return f;
}
