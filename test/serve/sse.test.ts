import fc from 'fast-check';
import { expect, test } from 'vitest';
import { eventsOf } from '../../src/web/chat/sse.ts';

function streamOf(bytes: Uint8Array, cuts: readonly number[]): ReadableStream<Uint8Array> {
  const ends = [...new Set([...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length])];
  ends.sort((a, b) => a - b);
  let from = 0;
  return new ReadableStream({
    pull: (controller) => {
      const to = ends.shift();
      if (to === undefined) controller.close();
      else {
        controller.enqueue(bytes.slice(from, to));
        from = to;
      }
    },
  });
}

test('events are the same however the stream is cut, and whatever ends the lines', async () => {
  const lineEnd = fc.constantFrom('\n', '\r\n', '\r');
  const texts = fc.array(
    fc.string({ unit: 'grapheme', minLength: 1 }).map((t) => JSON.stringify(t)),
  );
  await fc.assert(
    fc.asyncProperty(texts, lineEnd, fc.array(fc.nat()), async (texts, end, cuts) => {
      const source = texts.map((text) => `: remark${end}data: ${text}${end}${end}`).join('');
      const stream = streamOf(new TextEncoder().encode(source), cuts);
      expect(await Array.fromAsync(eventsOf(stream))).toEqual(texts);
    }),
  );
});

test('data may have several lines, and the last event needs no empty line', async () => {
  const bytes = new TextEncoder().encode('data: a\ndata:b\nevent: x\n\n: only a remark\n\ndata: c');
  expect(await Array.fromAsync(eventsOf(streamOf(bytes, [])))).toEqual(['a\nb', 'c']);
});
