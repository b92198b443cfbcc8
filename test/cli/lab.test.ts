import { expect, test } from 'vitest';
import { tersor } from '../support/command.ts';

test('tersor lab alone lists the experiments, also as JSON', async () => {
  const { code, stdout } = await tersor('lab');
  expect(code).toBe(0);
  expect(stdout).toMatch(/^lecun1989 +A network that reads zip codes/m);
  const lines = (await tersor('lab', '--json')).stdout.trim().split('\n');
  expect(lines).toHaveLength(stdout.trim().split('\n').length);
  expect(JSON.parse(lines[0] as string)).toMatchObject({ event: 'experiment', name: 'lecun1989' });
});

test('tersor lab refuses a name that it does not have before it runs another', async () => {
  const { code, stdout, stderr } = await tersor('lab', 'dropout', 'lecun');
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  expect(stderr).toContain('unknown experiment "lecun"');
});
