import { Command } from 'commander';
import { megabytes } from '../../compress/index.ts';
import { answerAll, createEngine } from '../../generate/index.ts';
import type { Pretrained } from '../../models/index.ts';
import { interruptible } from '../interrupt.ts';
import { type MeasureOptions, measure, protocolOption } from '../measure.ts';
import { openModel } from '../open-model.ts';
import { integer } from '../options.ts';
import { readQuestions } from '../questions.ts';
import { table } from '../table.ts';
import { printJson } from '../training-view.ts';

interface EvalOptions extends MeasureOptions {
  readonly questions?: string;
  readonly raw?: boolean;
  readonly adapter?: string;
  readonly stop: string;
  readonly maxTokens: number;
  readonly json?: boolean;
}

const EXAMPLES = `
Examples:
  tersor eval my-model --text book.txt
  tersor eval my-model --text test.txt --protocol llama.cpp --context 512
  tersor eval my-model --questions held-out.jsonl      {"prompt": ..., "answer": ...} a line
  tersor eval runs/start/int4 --questions runs/start/questions.jsonl`;

export function evalCommand(finish: (code: number) => void): Command {
  return new Command('eval')
    .description('measure a model: size, speed, perplexity on a text, exact answers')
    .argument('<model>', 'a folder with config.json and model.safetensors')
    .option('-t, --text <file>', 'the text of the perplexity')
    .addOption(protocolOption())
    .option('--context <n>', 'tokens of a window of the perplexity', integer(2))
    .option('-q, --questions <file>', 'lines of JSON with prompt and answer')
    .option('--raw', 'continue them as plain text, also where there is a chat template')
    .option('--adapter <folder>', 'a LoRA adapter of the model')
    .option('--stop <text>', 'what ends an answer', '\n')
    .option('--max-tokens <n>', 'longest answer', integer(1), 64)
    .option('--json', 'one object of JSON')
    .addHelpText('after', EXAMPLES)
    .action(async (folder: string, options: EvalOptions) => {
      finish(await interruptible((signal) => evaluate(folder, options, signal)));
    });
}

/** A question as the model is asked: as a message where it knows chats, or as a text to continue. */
function asked(prompt: string, { tokenizer }: Pretrained, { raw }: EvalOptions) {
  if (raw || !tokenizer?.hasChat) return prompt;
  return tokenizer.encodeChat([{ role: 'user', content: prompt }]);
}

async function evaluate(folder: string, options: EvalOptions, signal: AbortSignal): Promise<void> {
  const questions =
    options.questions === undefined ? undefined : await readQuestions(options.questions);
  const pretrained = await openModel(folder, options);
  const measured = await measure(pretrained, options, signal);
  let right: number | undefined;
  if (questions) {
    const engine = createEngine(pretrained);
    const prompts = questions.map(({ prompt }) => asked(prompt, pretrained, options));
    const { stop, maxTokens } = options;
    const answers = await answerAll(engine, prompts, { stop, maxTokens, signal });
    right =
      answers.filter((text, i) => text.trim() === questions[i]?.answer).length / answers.length;
    await engine.close();
  }
  const result = { model: folder, ...measured, ...(right !== undefined && { exactMatch: right }) };
  if (options.json) printJson('result', result);
  else {
    const { size, speed, perplexity } = measured;
    const rows = [
      ['', folder],
      ['weights', String(size.weights)],
      ['size', megabytes(size.bytes)],
      ['bits per weight', size.bitsPerWeight.toFixed(2)],
    ];
    if (speed) {
      rows.push([`prefill of ${speed.promptTokens}`, `${Math.round(speed.prefill)} tok/s`]);
      rows.push(['decode', `${speed.decode.toFixed(1)} tok/s`]);
    }
    if (perplexity) {
      const { protocol, context, tokens, wordPerplexity, bitsPerByte } = perplexity;
      rows.push([`perplexity (${protocol}, ${context})`, perplexity.perplexity.toFixed(4)]);
      rows.push(['tokens scored', String(tokens)]);
      if (wordPerplexity) rows.push(['perplexity of a word', wordPerplexity.toFixed(4)]);
      if (bitsPerByte) rows.push(['bits per byte', bitsPerByte.toFixed(4)]);
    }
    if (right !== undefined) {
      rows.push([`exact answers (${questions?.length})`, `${(100 * right).toFixed(1)} %`]);
    }
    console.log(table(rows));
  }
  pretrained.model.dispose();
}
