import { expect, it } from 'vitest';
import { LruMap } from '../../src/base/lru.ts';

it('forgets what was not used for longest', () => {
  const gone: number[] = [];
  const map = new LruMap<string, number>(2, (v) => gone.push(v));
  map.set('a', 1);
  map.set('b', 2);
  expect(map.get('a')).toBe(1);
  map.set('c', 3);
  expect(gone).toEqual([2]);
  expect(map.get('b')).toBeUndefined();
  map.clear();
  expect(gone).toEqual([2, 1, 3]);
  expect(map.size).toBe(0);
});
