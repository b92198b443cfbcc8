import { FunctionBuilder, type ModuleBuilder } from '../../../asm/index.ts';
import type { Helper } from './instructions.ts';

/** Adds a helper function to a module and returns its number. */
export function addHelper(module: ModuleBuilder, name: Helper): number {
  return module.addFunction(name, BUILDERS[name]());
}

const BUILDERS: { readonly [H in Helper]: () => FunctionBuilder } = {
  f32_rem: floatRemainder,
  i32_div: () => signed('i32.div_s'),
  i32_rem: () => signed('i32.rem_s'),
  u32_div: () => guarded('i32.div_u'),
  u32_rem: () => guarded('i32.rem_u'),
};

/** x op y, 0 where y is 0. */
function guarded(op: 'i32.div_u' | 'i32.rem_u' | 'i32.div_s' | 'i32.rem_s'): FunctionBuilder {
  const f = new FunctionBuilder({ params: ['i32', 'i32'], results: ['i32'] });
  f.emit('local.get', 1);
  f.if(
    () => f.emit('local.get', 0).emit('local.get', 1).emit(op),
    () => f.emit('i32.const', 0),
    'i32',
  );
  return f;
}

/** The same for signed numbers: wasm traps on the smallest integer by -1, here it wraps. */
function signed(op: 'i32.div_s' | 'i32.rem_s'): FunctionBuilder {
  const f = new FunctionBuilder({ params: ['i32', 'i32'], results: ['i32'] });
  f.emit('local.get', 1).emit('i32.const', -1).emit('i32.eq');
  f.if(
    () => {
      if (op === 'i32.div_s') f.emit('i32.const', 0).emit('local.get', 0).emit('i32.sub');
      else f.emit('i32.const', 0);
    },
    () => {
      f.emit('local.get', 1);
      f.if(
        () => f.emit('local.get', 0).emit('local.get', 1).emit(op),
        () => f.emit('i32.const', 0),
        'i32',
      );
    },
    'i32',
  );
  return f;
}

/**
 * The C remainder, exact. In doubles a - q b is exact while q < 2^29 (29 + 24 bits), so a larger
 * quotient is taken in parts: b is first scaled up by a power of two to within 2^28 of a.
 */
function floatRemainder(): FunctionBuilder {
  const f = new FunctionBuilder({ params: ['f32', 'f32'], results: ['f32'] });
  const a = f.local('f64');
  const b = f.local('f64');
  const scaled = f.local('f64');
  const shift = f.local('i64');
  const infinity = Number.POSITIVE_INFINITY;
  f.emit('local.get', 0).emit('f64.promote_f32').emit('f64.abs').emit('local.set', a);
  f.emit('local.get', 1).emit('f64.promote_f32').emit('f64.abs').emit('local.set', b);
  // NaN unless a is finite and b is not 0 and not NaN.
  f.emit('local.get', a).emit('f64.const', infinity).emit('f64.lt');
  f.emit('local.get', b).emit('f64.const', 0).emit('f64.gt').emit('i32.and').emit('i32.eqz');
  f.if(() => f.emit('f32.const', Number.NaN).emit('return'));
  f.emit('local.get', b).emit('f64.const', infinity).emit('f64.eq');
  f.if(() => f.emit('local.get', 0).emit('return'));
  f.block(() => {
    f.loop(() => {
      f.emit('local.get', a).emit('local.get', b).emit('f64.lt').emit('br_if', 1);
      // shift = max(0, exponent(a) - exponent(b) - 28), read off the bits.
      for (const x of [a, b]) {
        f.emit('local.get', x).emit('i64.reinterpret_f64').emit('i64.const', 52).emit('i64.shr_u');
      }
      f.emit('i64.sub').emit('i64.const', 28).emit('i64.sub').emit('local.tee', shift);
      f.emit('i64.const', 0).emit('local.get', shift).emit('i64.const', 0).emit('i64.gt_s');
      f.emit('select').emit('local.set', shift);
      f.emit('local.get', b);
      f.emit('local.get', shift).emit('i64.const', 1023).emit('i64.add');
      f.emit('i64.const', 52).emit('i64.shl').emit('f64.reinterpret_i64');
      f.emit('f64.mul').emit('local.set', scaled);
      f.emit('local.get', a);
      f.emit('local.get', a).emit('local.get', scaled).emit('f64.div').emit('f64.trunc');
      f.emit('local.get', scaled).emit('f64.mul').emit('f64.sub').emit('local.set', a);
      // The quotient may have been rounded up.
      f.emit('local.get', a).emit('f64.const', 0).emit('f64.lt');
      f.if(() => {
        f.emit('local.get', a).emit('local.get', scaled).emit('f64.add').emit('local.set', a);
      });
      f.emit('br', 0);
    });
  });
  f.emit('local.get', a).emit('f32.demote_f64').emit('local.get', 0).emit('f32.copysign');
  return f;
}
