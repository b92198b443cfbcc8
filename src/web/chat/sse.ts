/** Cuts a stream of server-sent events into the data of each. */
export async function* eventsOf(body: ReadableStream<Uint8Array>): AsyncGenerator<string, void> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let held = '';
  try {
    for (;;) {
      const { done, value } = await reader.read();
      held += done ? decoder.decode() : decoder.decode(value, { stream: true });
      // A carriage return at the very end may be half of a line's end.
      const safe = done ? held : held.replace(/\r$/, '');
      const parts = safe.split(/\r\n\r\n|\n\n|\r\r/);
      held = (parts.pop() ?? '') + held.slice(safe.length);
      if (done && held !== '') parts.push(held);
      for (const part of parts) {
        const data = dataOf(part);
        if (data !== undefined) yield data;
      }
      if (done) return;
    }
  } finally {
    // Whoever stops reading wants nothing more to be sent.
    await reader.cancel().catch(() => {});
  }
}

function dataOf(event: string): string | undefined {
  const lines = event.split(/\r\n|\n|\r/).filter((line) => line.startsWith('data:'));
  if (lines.length === 0) return undefined;
  return lines.map((line) => line.slice(5).replace(/^ /, '')).join('\n');
}
