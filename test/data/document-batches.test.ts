import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type DocumentBatchOptions,
  evaluationBatches,
  PackedBatches,
  PaddedBatches,
} from '../../src/data/document-batches.ts';
import { DocumentBuilder, type TokenDocuments } from '../../src/data/documents.ts';

/** Documents whose tokens all differ, from 1 on, so that each can be followed. */
function numbered(lengths: readonly number[], weigh?: (token: number) => number): TokenDocuments {
  const builder = new DocumentBuilder();
  let next = 1;
  for (const length of lengths) {
    const ids = Array.from({ length }, () => next++);
    builder.add(ids, weigh === undefined ? undefined : ids.map(weigh));
  }
  return builder.build();
}

const settings = fc.record({
  lengths: fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 12 }),
  batch: fc.integer({ min: 1, max: 4 }),
  sequence: fc.integer({ min: 1, max: 7 }),
  seed: fc.nat(),
});

/** The pairs (input, target) with weight, of some rows. */
function pairs(
  source: { next(): Batch; readonly batch: number },
  rows: number,
): [number, number][] {
  const found: [number, number][] = [];
  for (let left = rows; left > 0; left -= source.batch) {
    const { inputs, targets, weights } = source.next();
    const size = (inputs.length / source.batch) * Math.min(left, source.batch);
    for (let at = 0; at < size; at += 1) {
      if (weights?.[at] === 1) found.push([inputs[at], targets[at]]);
    }
  }
  return found;
}
type Batch = ReturnType<PackedBatches['next']>;

describe('packed batches', () => {
  test('have every token but the first as a target once an epoch, behind the one before it', () => {
    fc.assert(
      fc.property(settings, ({ lengths, sequence, seed }) => {
        const documents = numbered(lengths);
        const { tokens } = documents;
        fc.pre(tokens.length >= 2);
        const source = new PackedBatches({ documents, batch: 1, sequence, seed });
        for (let epoch = 0; epoch < 3; epoch += 1) {
          const found: [number, number][] = [];
          do found.push(...pairs(source, 1));
          while (found.length < tokens.length - 1);
          const targets = found.map(([, target]) => target);
          expect(new Set(targets).size).toBe(tokens.length - 1);
          const follows = new Map(found);
          const ends = new Set(documents.starts.slice(1));
          for (const token of tokens) {
            // Inside a document the next token follows; between documents any first one may.
            if (!ends.has(token)) expect(follows.get(token)).toBe(token + 1);
          }
        }
      }),
      { seed: 1 },
    );
  });

  test('keep the weights of the documents', () => {
    const documents = numbered([5, 7, 6], (token) => token % 2);
    const source = new PackedBatches({ documents, batch: 2, sequence: 4, seed: 3 });
    const targets = pairs(source, source.rowsPerEpoch).map(([, target]) => target);
    expect(targets.length).toBeGreaterThan(5);
    expect(targets.every((target) => target % 2 === 1)).toBe(true);
  });

  test('come in another order each epoch and for each seed', () => {
    const documents = numbered(Array.from({ length: 40 }, () => 5));
    const epochs = (seed: number) => {
      const source = new PackedBatches({ documents, batch: 1, sequence: 5, seed });
      return [0, 1].map(() => pairs(source, 41).toString());
    };
    const [first, second] = epochs(1);
    expect(first).not.toBe(second);
    expect(epochs(1)).toEqual([first, second]);
    expect(epochs(2)[0]).not.toBe(first);
  });

  test('need two tokens, and sizes', () => {
    const options = { documents: numbered([1]), batch: 1, sequence: 1, seed: 1 };
    expect(() => new PackedBatches(options)).toThrow('documents hold 1 tokens');
    const documents = numbered([9]);
    expect(() => new PackedBatches({ ...options, documents, batch: 0 })).toThrow('batch is 0');
    expect(() => new PackedBatches({ ...options, documents, sequence: 1.5 })).toThrow(
      'sequence is 1.5',
    );
  });
});

describe('padded batches', () => {
  test('have one document a row, and each once an epoch', () => {
    fc.assert(
      fc.property(settings, ({ lengths, batch, sequence, seed }) => {
        const documents = numbered(lengths);
        const usable = lengths.filter((length) => length > 1);
        fc.pre(usable.length > 0);
        const source = new PaddedBatches({ documents, batch, sequence, seed });
        expect(source.rowsPerEpoch).toBe(usable.length);
        expect(source.cut).toBe(lengths.filter((length) => length > sequence + 1).length);
        const found = pairs(source, usable.length);
        expect(found.every(([input, target]) => target === input + 1)).toBe(true);
        const wanted = usable.reduce((sum, length) => sum + Math.min(length - 1, sequence), 0);
        expect(new Set(found.map(([input]) => input)).size).toBe(wanted);
        expect(found).toHaveLength(wanted);
      }),
      { seed: 1 },
    );
  });

  test('refuse documents without a target', () => {
    const options = { documents: numbered([1, 0]), batch: 1, sequence: 4, seed: 1 };
    expect(() => new PaddedBatches(options)).toThrow('documents has none of two tokens');
  });
});

describe.each([
  ['packed', (options: DocumentBatchOptions) => new PackedBatches(options)],
  ['padded', (options: DocumentBatchOptions) => new PaddedBatches(options)],
] as const)('the state of %s batches', (_, make) => {
  test('goes on with the same batches', () => {
    fc.assert(
      fc.property(settings, fc.nat({ max: 20 }), ({ lengths, ...sizes }, steps) => {
        const options = { documents: numbered([...lengths, 3]), ...sizes };
        const source = make(options);
        for (let step = 0; step < steps; step += 1) source.next();
        const state = JSON.parse(JSON.stringify(source.state()));
        const other = make(options);
        other.next();
        other.restore(state);
        expect(other.state()).toEqual(state);
        for (let step = 0; step < 5; step += 1) expect(other.next()).toEqual(source.next());
      }),
      { seed: 1 },
    );
  });

  test('is refused by a source of other data or sizes', () => {
    const options = { documents: numbered([5, 6]), batch: 2, sequence: 3, seed: 1 };
    const state = make(options).state();
    const refused = (change: object, name: string) =>
      expect(() => make({ ...options, ...change }).restore(state)).toThrow(`state.source.${name}`);
    refused({ batch: 1 }, 'batch');
    refused({ sequence: 4 }, 'sequence');
    refused({ seed: 2 }, 'seed');
    refused({ documents: numbered([6, 5]) }, 'hash');
    refused({ documents: numbered([5, 6, 7]) }, 'tokens');
    expect(() => make(options).restore(undefined)).toThrow('state.source.kind');
    expect(() => make(options).restore({ ...state, row: -1 })).toThrow('state.row is -1');
  });
});

test('evaluation sees every token but the first once, in order', () => {
  const documents = numbered([4, 1, 6, 2]);
  const batches = [...evaluationBatches(documents, { batch: 2, sequence: 3 })];
  const targets = batches.flatMap(({ targets, weights }) =>
    [...targets].filter((_, index) => weights?.[index] === 1),
  );
  expect(targets).toEqual([2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]);
  expect(batches.every(({ inputs }) => inputs.length === 6)).toBe(true);
});
