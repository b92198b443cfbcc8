import { readTextFile } from '../data/text-file.ts';

export interface PromptAndAnswer {
  readonly prompt: string;
  readonly answer: string;
}

/** Questions as lines of JSON with a prompt and an answer. @throws Error naming file and line */
export async function readQuestions(file: string): Promise<PromptAndAnswer[]> {
  const lines = (await readTextFile(file)).split('\n');
  const questions = lines.flatMap((line, at): PromptAndAnswer[] => {
    if (line.trim() === '') return [];
    const wrong = (what: string) =>
      new Error(`file ${JSON.stringify(file)}, line ${at + 1}: ${what}`);
    let parsed: unknown;
    try {
      parsed = JSON.parse(line);
    } catch {
      throw wrong('it is not JSON; expected {"prompt": ..., "answer": ...}');
    }
    const { prompt, answer } = (parsed ?? {}) as Record<string, unknown>;
    for (const [name, value] of Object.entries({ prompt, answer })) {
      if (typeof value === 'string' && value !== '') continue;
      throw wrong(`${name} is ${JSON.stringify(value)}; expected a text`);
    }
    return [{ prompt, answer } as PromptAndAnswer];
  });
  if (questions.length > 0) return questions;
  throw new Error(`file ${JSON.stringify(file)} has no questions; expected a line for each`);
}
