import { describe, expect, it } from 'vitest';
import { barChart, lineChart } from '../../src/charts/index.ts';

const axes = { x: { label: 'step' }, y: { label: 'loss (nats)' } };

/** What a picture says to those who read it. */
const texts = (svg: string) => [...svg.matchAll(/<text[^>]*>([^<]*)<\/text>/g)].map(([, t]) => t);

describe('a chart of lines', () => {
  it('is a file of its own that names title, axes and series', async () => {
    const svg = await lineChart({
      title: 'Loss & more',
      subtitle: 'three seeds',
      ...axes,
      series: [
        {
          name: 'Adam',
          points: [
            [0, 3],
            [1, 2],
            [2, 1.5],
          ],
          band: [
            [3, 3],
            [1, 3],
            [1, 2],
          ],
        },
        {
          name: 'SGD',
          points: [
            [0, 3],
            [1, 2.5],
          ],
          mark: 'dots',
        },
      ],
      lines: [{ y: 2.2, label: 'the paper' }],
    });
    expect(svg).toMatch(/^<svg [^>]*xmlns="http:\/\/www.w3.org\/2000\/svg"/);
    expect(texts(svg)).toEqual(
      expect.arrayContaining([
        'Loss &amp; more',
        'three seeds',
        'Adam',
        'SGD',
        'step',
        'the paper',
      ]),
    );
    expect(svg.match(/<circle /g)).toHaveLength(2);
  });

  it('leaves out what has no place on its axes', async () => {
    const svg = await lineChart({
      title: 'log',
      x: { label: 'n' },
      y: { label: 'ms', scale: 'log' },
      series: [
        {
          name: 'a',
          mark: 'dots',
          points: [
            [1, 0],
            [2, 1],
            [3, Number.NaN],
            [4, 10],
          ],
        },
      ],
    });
    expect(svg.match(/<circle /g)).toHaveLength(2);
  });

  it('writes small numbers of a logarithmic axis as they are', async () => {
    const svg = await lineChart({
      title: 'log',
      x: { label: 'n' },
      y: { label: 'error', scale: 'log' },
      series: [
        {
          name: 'a',
          points: [
            [1, 0.001],
            [2, 1],
          ],
        },
      ],
    });
    expect(svg).toContain('>0.1</text>');
    expect(svg).not.toContain('>100m</text>');
  });

  it('refuses a band of another length', async () => {
    const series = [{ name: 'a', points: [[0, 1]] as [number, number][], band: [] }];
    await expect(lineChart({ title: '', ...axes, series })).rejects.toThrow('band of a is 0');
  });
});

it('a chart of bars has one for each entry, also under the same name', async () => {
  const bars = [
    { name: 'q', value: 0.25, group: 'int8' },
    { name: 'q', value: 1.5, group: 'int4' },
  ];
  const svg = await barChart({ title: 'Error', label: 'relative error', bars });
  expect(texts(svg)).toEqual(expect.arrayContaining(['Error', 'relative error', '0.25', '1.5']));
  expect(texts(svg).filter((t) => t === 'q')).toHaveLength(2);
});
