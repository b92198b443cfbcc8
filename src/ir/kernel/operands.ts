import type { Value } from './types.ts';

/** The values that a value is computed from. */
export function operandsOf(value: Value): readonly Value[] {
  switch (value.kind) {
    case 'const':
    case 'index':
    case 'load':
    case 'words':
    case 'carried':
    case 'result':
      return [];
    case 'unary':
    case 'convert':
    case 'bitcast':
    case 'splat':
    case 'lane':
    case 'checked':
      return [value.a];
    case 'binary':
    case 'compare':
    case 'shuffle':
    case 'pairs':
      return [value.a, value.b];
    case 'select':
      return [value.condition, value.a, value.b];
    case 'fma':
    case 'pairDot':
      return [value.a, value.b, value.c];
    case 'byteDot':
      return [...value.a, ...value.b, value.start];
    case 'pack':
      return value.items;
    default:
      return value satisfies never;
  }
}
