import type { ByteDotValue } from '../../../ir/kernel/types.ts';
import type { Emitter } from './emitter.ts';

/**
 * Sums of products of bytes. The products of a word's two lower and two upper bytes meet in halves
 * of 16 bits, which hold the sums of all pairs (the verifier has seen to that); the halves meet at
 * the end.
 */
export function emitByteDot(e: Emitter, value: ByteDotValue): void {
  if (e.options.relaxedSimd) emitRelaxed(e, value);
  else emitExtended(e, value);
  const { start } = value;
  if (start.kind === 'splat' && start.a.kind === 'const' && start.a.value === 0) return;
  e.push(start);
  e.f.emit('i32x4.add');
}

/** What the instruction leaves open does not occur: factors of 7 bits, and sums that fit. */
function emitRelaxed(e: Emitter, { a, b }: ByteDotValue): void {
  const { f } = e;
  a.forEach((factor, i) => {
    e.push(factor);
    e.push(b[i]);
    f.emit('i16x8.relaxed_dot_i8x16_i7x16_s');
    if (i > 0) f.emit('i16x8.add');
  });
  f.emit('i32x4.extadd_pairwise_i16x8_s');
}

/** The same by products of 16 bits, those of lanes 0 and 1 apart from those of lanes 2 and 3. */
function emitExtended(e: Emitter, { a, b }: ByteDotValue): void {
  const { f } = e;
  const [x, y, low, high] = [0, 1, 2, 3].map(() => f.local('v128'));
  a.forEach((factor, i) => {
    e.push(factor);
    f.emit('local.set', x);
    e.push(b[i]);
    f.emit('local.set', y);
    for (const part of ['low', 'high'] as const) {
      const sum = part === 'low' ? low : high;
      f.emit('local.get', x).emit('local.get', y).emit(`i16x8.extmul_${part}_i8x16_s`);
      if (i > 0) f.emit('local.get', sum).emit('i16x8.add');
      f.emit('local.set', sum);
    }
  });
  for (const sum of [low, high]) {
    f.emit('local.get', sum).emit('i32x4.extadd_pairwise_i16x8_s').emit('local.set', sum);
  }
  const words = (places: readonly number[]) => {
    f.emit('local.get', low).emit('local.get', high);
    f.emit(
      'i8x16.shuffle',
      places.flatMap((place) => [0, 1, 2, 3].map((byte) => 4 * place + byte)),
    );
  };
  words([0, 2, 4, 6]);
  words([1, 3, 5, 7]);
  f.emit('i32x4.add');
}
