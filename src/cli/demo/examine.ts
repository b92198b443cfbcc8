import { modelSize } from '../../compress/index.ts';
import { exactMatch, type Question } from '../../data/index.ts';
import { measureSpeed } from '../../evaluate/index.ts';
import { answerAll, createEngine } from '../../generate/index.ts';
import type { Pretrained } from '../../models/index.ts';
import type { Examined } from './report.ts';

/** Asks a model the questions, each in a conversation of its own, and measures size and speed. */
export async function examine(
  pretrained: Pretrained,
  questions: readonly Question[],
  signal: AbortSignal,
): Promise<Examined> {
  const { model, tokenizer } = pretrained;
  if (!tokenizer) throw new TypeError('examine: the model has no tokenizer; expected its own');
  const size = modelSize(model);
  const speed = await measureSpeed(model, { signal });
  const engine = createEngine(pretrained);
  try {
    const prompts = questions.map(({ message }) =>
      tokenizer.encodeChat([{ role: 'user', content: message }]),
    );
    const said = await answerAll(engine, prompts, { signal });
    // The space before the first word is part of its token.
    const answers = said.map((text) => text.trim());
    const of = (question: Question) => answers[questions.indexOf(question)] ?? '';
    return { size, speed, answers: exactMatch(questions, of) };
  } finally {
    await engine.close();
  }
}
