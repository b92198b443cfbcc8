import type { Terminal } from './training-view.ts';

/** A line that tells how much of a work is done: drawn over on a terminal, silent in a pipe. */
export function percentLine(name: string, out: Terminal = process.stderr) {
  let shown = '';
  return {
    update(done: number, all: number): void {
      const text = `${name}: ${Math.floor((100 * done) / all)} %`;
      if (!out.isTTY || text === shown) return;
      shown = text;
      out.write(`\r${text}\u001b[K`);
    },
    end(): void {
      if (shown !== '') out.write('\r\u001b[K');
      shown = '';
    },
  };
}
