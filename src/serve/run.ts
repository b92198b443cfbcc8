import { nextTurn } from '../base/yield.ts';
import type { GenerationChunk, GenerationRequest, TextEngine } from '../generate/engine-types.ts';
import type { Progress } from './health.ts';

/** A piece of one of several answers. */
export interface Piece {
  readonly choice: number;
  readonly chunk: GenerationChunk;
}

/** Answers that are being written. */
export interface Run {
  readonly pieces: AsyncGenerator<Piece, void>;
  /** Ends all of them; the engine frees what they hold. */
  cancel(): void;
}

/**
 * Hands requests to the engine and begins to read. What the engine refuses at once is thrown here,
 * while the answer can still have a status of its own, and nothing is left running then.
 *
 * @param signal of the client: aborted when it has gone
 */
export async function begin(
  engine: TextEngine,
  requests: readonly GenerationRequest[],
  signal: AbortSignal,
  progress: Progress,
): Promise<Run> {
  const own = new AbortController();
  const cancel = () => own.abort();
  if (signal.aborted) cancel();
  signal.addEventListener('abort', cancel, { once: true });
  try {
    const answers = requests.map((request) =>
      engine.generate({ ...request, signal: own.signal })[Symbol.asyncIterator](),
    );
    const firsts = answers.map((answer) => answer.next());
    // A rejection that nobody waits for yet would end the process.
    for (const first of firsts) first.catch(() => {});
    await Promise.race([...firsts, nextTurn()]);
    const pieces = read(answers, firsts, progress, (complete) => {
      signal.removeEventListener('abort', cancel);
      if (!complete) cancel();
    });
    return { pieces, cancel };
  } catch (error) {
    signal.removeEventListener('abort', cancel);
    cancel();
    throw error;
  }
}

type Next = Promise<IteratorResult<GenerationChunk, unknown>>;

async function* read(
  answers: readonly AsyncIterator<GenerationChunk>[],
  firsts: readonly Next[],
  progress: Progress,
  end: (complete: boolean) => void,
): AsyncGenerator<Piece, void> {
  let complete = false;
  try {
    if (answers.length === 1) {
      let next = await firsts[0];
      while (!next.done) {
        progress.made();
        yield { choice: 0, chunk: next.value };
        next = await answers[0].next();
      }
      complete = true;
      return;
    }
    const tagged = (choice: number, next: Next) => {
      const promise = next.then((result) => ({ choice, next: result }));
      // A rejection that nobody waits for any more would end the process.
      promise.catch(() => {});
      return promise;
    };
    const pending = new Map(firsts.map((first, choice) => [choice, tagged(choice, first)]));
    while (pending.size > 0) {
      const { choice, next } = await Promise.race(pending.values());
      if (next.done) {
        pending.delete(choice);
        continue;
      }
      progress.made();
      pending.set(choice, tagged(choice, answers[choice].next()));
      yield { choice, chunk: next.value };
    }
    complete = true;
  } finally {
    end(complete);
    // Their rejections were told above, or nobody is left to hear them.
    if (!complete) for (const answer of answers) answer.return?.().catch(() => {});
  }
}
