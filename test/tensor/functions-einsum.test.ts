import { describe, expect, test } from 'vitest';
import type { DeviceName } from '../../src/device/index.ts';
import { einsum } from '../../src/tensor/functions/index.ts';
import { type Tensor, tensor } from '../../src/tensor/tensor.ts';
import { DEVICE_NAMES } from '../support/device-names.ts';

const DEVICES: readonly DeviceName[] = DEVICE_NAMES;
const SIZES: Readonly<Record<string, number>> = { a: 2, b: 3, c: 4, d: 1, e: 5 };

/** Small whole numbers: sums of products are exact in any order. */
function operand(labels: string, device: DeviceName, seed: number): Tensor {
  const shape = [...labels].map((label) => SIZES[label]);
  const size = shape.reduce((x, y) => x * y, 1);
  const values = Float32Array.from({ length: size }, (_, i) => ((i * 7 + seed * 5) % 11) - 5);
  return tensor(values, { shape, device });
}

/** The definition: a sum over all places of all labels. */
async function define(equation: string, operands: readonly Tensor[]): Promise<number[]> {
  const [left, output] = equation.split('->');
  const terms = left.split(',');
  const labels = [...new Set(terms.join(''))];
  const data = await Promise.all(operands.map((x) => x.data()));
  const strides = (list: string) =>
    [...list].map((_, i) => [...list].slice(i + 1).reduce((n, label) => n * SIZES[label], 1));
  const offset = (list: string, place: Readonly<Record<string, number>>) =>
    strides(list).reduce((sum, stride, i) => sum + stride * place[list[i]], 0);
  const size = [...output].reduce((n, label) => n * SIZES[label], 1);
  const result = new Array<number>(size).fill(0);
  const visit = (depth: number, place: Record<string, number>): void => {
    if (depth === labels.length) {
      const product = data.reduce((p, values, i) => p * values[offset(terms[i], place)], 1);
      result[offset(output, place)] += product;
      return;
    }
    for (let i = 0; i < SIZES[labels[depth]]; i++)
      visit(depth + 1, { ...place, [labels[depth]]: i });
  };
  visit(0, {});
  return result;
}

const EQUATIONS = [
  'abc->cab',
  'aab->b',
  'aba->ab',
  'aaa->a',
  'abc->',
  'ab,bc->ac',
  'ab,cb->ac',
  'ab,ab->a',
  'ab,ac->abc',
  'abc,cd->abd',
  'abc,abe->bce',
  'ab,ba->',
  'a,b,c->cab',
  'ab,bc,ce,e->a',
  'aab,bcc->abc',
  'abc,c,a->b',
];

describe.each(DEVICES)('einsum on %s', (device) => {
  test.each(EQUATIONS)('%s', async (equation) => {
    const operands = equation
      .split('->')[0]
      .split(',')
      .map((labels, i) => operand(labels, device, i + 1));
    const got = einsum(equation, ...operands);
    expect(got.shape).toEqual([...equation.split('->')[1]].map((label) => SIZES[label]));
    expect(Array.from(await got.data(), (x) => x + 0)).toEqual(
      (await define(equation, operands)).map((x) => x + 0),
    );
  });

  test('an ellipsis stands for axes that broadcast; axes of size 1 are repeated', async () => {
    const x = operand('abc', device, 1);
    const y = operand('bcd', device, 2);
    const product = einsum('...i,...i->...', x, y.permute([2, 0, 1]));
    expect(await product.toArray()).toEqual(
      await x
        .mul(y.permute([2, 0, 1]))
        .sum(-1)
        .toArray(),
    );
    const implicit = einsum('i...,j', x, operand('e', device, 3));
    expect(implicit.shape).toEqual([3, 4, 2, 5]);
  });

  test('spaces are nothing and integers stay integers', async () => {
    const x = tensor(Int32Array.of(1, 2, 3), { device });
    const result = einsum(' i , i -> ', x, x);
    expect(result.dtype).toBe('i32');
    expect(await result.item()).toBe(14);
  });
});

test.each([
  ['ij->ii', 'each axis of the output once'],
  ['ij->ik', 'no output axis k that no operand has'],
  ['ijk->i', 'as many letters in ijk as axes \\(2\\)'],
  ['ij,jk->ik', '1 terms, one for each operand'],
  ['i2->i', 'letters, commas, ... and ->'],
  ['ij->j->i', 'at most one ->'],
  ['......->', 'at most one ellipsis in a term'],
  ['ii->i', 'equal sizes of'],
])('%s is refused', (equation, message) => {
  expect(() => einsum(equation, tensor([[1, 2, 3]]))).toThrow(new RegExp(message));
});

test('sizes must agree', () => {
  const [x, y] = [tensor([[1, 2, 3]]), tensor([[1], [2]])];
  expect(() => einsum('ij,jk->ik', x, y)).toThrow(/equal sizes of j \(3 and 2\)/);
});
