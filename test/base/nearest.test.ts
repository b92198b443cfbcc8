import { expect, test } from 'vitest';
import { nearestName, unknownName } from '../../src/base/nearest.ts';

test('the nearest name is few edits away, or the same in another case', () => {
  const names = ['weightDecay', 'lr', 'betas', 'beta2Decay'];
  expect(nearestName('weight_decay', names)).toBe('weightDecay');
  expect(nearestName('wieghtDecay', names)).toBe('weightDecay');
  expect(nearestName('beta', names)).toBe('betas');
  expect(nearestName('l', names)).toBe('lr');
  expect(nearestName('momentum', names)).toBeUndefined();
  // Two letters swapped are one edit, also in a name too short for two.
  expect(nearestName('adma', ['adam', 'lion'])).toBe('adam');
  expect(nearestName('dama', ['adam', 'lion'])).toBeUndefined();
  expect(nearestName('x', [])).toBeUndefined();
});

test('an unknown name is shown with the nearest one and all there are', () => {
  expect(unknownName('optimizer', 'option', 'lt', ['lr', 'eps']).message).toBe(
    'optimizer: unknown option "lt" (did you mean "lr"?); expected one of lr, eps',
  );
  expect(unknownName('lab', 'name', 'zzz', ['lr', 'eps']).message).not.toContain('mean');
});
