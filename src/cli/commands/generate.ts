import { Command, Option } from 'commander';
import { createEngine, type GenerationRequest, type TextEngine } from '../../generate/index.ts';
import type { Tokenizer } from '../../io/index.ts';
import type { Pretrained } from '../../models/index.ts';
import { type ChatSettings, Conversation, chat, rate, Stopwatch, type Written } from '../chat.ts';
import { interruptible } from '../interrupt.ts';
import { openModel } from '../open-model.ts';
import { integer, number, seed } from '../options.ts';
import { printJson } from '../training-view.ts';

interface GenerateCliOptions {
  readonly adapter?: string;
  readonly maxTokens?: number;
  readonly temperature?: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly minP?: number;
  readonly repetitionPenalty?: number;
  readonly presencePenalty?: number;
  readonly frequencyPenalty?: number;
  readonly seed?: number;
  readonly stop?: string[];
  readonly ignoreEos?: boolean;
  readonly context?: number;
  readonly chat?: boolean;
  readonly system?: string;
  readonly json?: boolean;
}

/** Tokens of a continuation where nothing is said; an answer in a chat ends by itself. */
const LENGTH = 200;
/** For models that say nothing of how they are to be sampled. */
const TEMPERATURE = 0.8;

const EXAMPLES = `
Examples:
  tersor generate my-model "Once upon "
  tersor generate my-model "Once upon " --temperature 0
  tersor generate my-model --max-tokens 500 --top-k 10 --seed 3 < beginning.txt
  tersor generate my-model --chat --system "Answer in one sentence."
  tersor generate my-model --chat "What is the capital of France?"`;

export function generateCommand(finish: (code: number) => void): Command {
  const penalty = number(-1e6);
  return new Command('generate')
    .description('continue a text with a saved model, or talk with it')
    .argument('<model>', 'a folder with config.json, model.safetensors and tokenizer.json')
    .argument('[prompt]', 'the text to continue (default: what comes by standard input)')
    .option('--adapter <folder>', 'a LoRA adapter of the model')
    .option('-n, --max-tokens <n>', `longest continuation (default: ${LENGTH})`, integer(0))
    .option('-t, --temperature <n>', '0 takes the most probable, more is freer', number(0))
    .option('-k, --top-k <n>', 'choose among the n most probable only', integer(1))
    .option('-p, --top-p <share>', 'choose among the most probable that reach this sum', number(0))
    .option(
      '--min-p <share>',
      'leave out what is less probable than this share of the best',
      number(0),
    )
    .option(
      '--repetition-penalty <n>',
      'above 1: what was there becomes less probable',
      number(0, 'open'),
    )
    .option('--presence-penalty <n>', 'the same, subtracted once', penalty)
    .option('--frequency-penalty <n>', 'the same, subtracted for each time', penalty)
    .option('-s, --seed <n>', 'same seed, same text (default: 1; in a chat a new one)', seed)
    .option('--stop <text>', 'end before this text; may be given several times', several)
    .option('--ignore-eos', 'go on after a token that ends a text')
    .option(
      '--context <n>',
      'longest prompt and continuation (default: what the model has)',
      integer(2),
    )
    .option('-c, --chat', "talk, by the model's template; a prompt is answered and that is all")
    .addOption(new Option('--system <text>', 'what the model is told before a chat'))
    .option('--json', 'a line of JSON for each piece, and one at the end')
    .addHelpText('after', EXAMPLES)
    .action(async (folder: string, prompt: string | undefined, options: GenerateCliOptions) => {
      finish(await interruptible((signal) => run(folder, prompt, options, signal)));
    });
}

async function run(
  folder: string,
  given: string | undefined,
  options: GenerateCliOptions,
  signal: AbortSignal,
): Promise<void> {
  if (options.system !== undefined && !options.chat) {
    throw new Error('--system is given without --chat; expected both. Add --chat.');
  }
  const pretrained = await openModel(folder, { adapter: options.adapter, needsTokenizer: true });
  const { model, tokenizer } = pretrained;
  const engine = createEngine(pretrained, { slots: 1, context: options.context });
  try {
    const talk = { engine, tokenizer: tokenizer as Tokenizer, folder };
    const prompt = given ?? (process.stdin.isTTY ? undefined : await readAll());
    if (options.chat) await talkWith(talk, prompt, options, pretrained, signal);
    else await write(engine, promptOf(prompt, pretrained), options, pretrained, signal);
  } finally {
    await engine.close();
    model.dispose();
  }
}

/** Standard input to its end. */
async function readAll(): Promise<string> {
  const { text } = await import('node:stream/consumers');
  return text(process.stdin);
}

function several(text: string, before: string[] = []): string[] {
  return [...before, text];
}

/** What the command line says of sampling, for one text. */
function requestOf(options: GenerateCliOptions, { generation }: Pretrained) {
  const { maxTokens, temperature, topK, topP, minP, stop, ignoreEos } = options;
  const { repetitionPenalty, presencePenalty, frequencyPenalty } = options;
  return {
    ...{ maxTokens, topK, topP, minP, stop, ignoreEos },
    ...{ repetitionPenalty, presencePenalty, frequencyPenalty },
    temperature: temperature ?? generation.temperature ?? TEMPERATURE,
    seed: options.seed,
  };
}

/** A text begins with the token that begins texts, or after a line end where there is none. */
function promptOf(prompt: string | undefined, { tokenizer }: Pretrained): string {
  if (prompt) return prompt;
  return tokenizer?.bosId === undefined ? '\n' : '';
}

async function write(
  engine: TextEngine,
  prompt: string,
  options: GenerateCliOptions,
  pretrained: Pretrained,
  signal: AbortSignal,
): Promise<void> {
  const { json = false } = options;
  const request: GenerationRequest = {
    ...defined(requestOf(options, pretrained)),
    maxTokens: options.maxTokens ?? LENGTH,
    seed: options.seed ?? 1,
    prompt,
    signal,
  };
  const watch = new Stopwatch();
  // What can never be answered is told before the prompt is printed.
  const chunks = engine.generate(request);
  if (!json) process.stdout.write(prompt);
  let text = '';
  for await (const chunk of chunks) {
    watch.take(chunk);
    text += chunk.text;
    if (!json) process.stdout.write(chunk.text);
    else if (chunk.text !== '') printJson('piece', { text: chunk.text, ids: chunk.ids });
    if (!chunk.finish) continue;
    const { reason, promptTokens, completionTokens } = chunk.finish;
    const written = watch.end(promptTokens, completionTokens);
    if (json) printJson('result', { text, reason, ...timesOf(written) });
    else {
      process.stdout.write('\n');
      console.error(rate(written));
    }
  }
}

async function talkWith(
  { engine, tokenizer, folder }: { engine: TextEngine; tokenizer: Tokenizer; folder: string },
  prompt: string | undefined,
  options: GenerateCliOptions,
  pretrained: Pretrained,
  signal: AbortSignal,
): Promise<void> {
  const { system, json = false } = options;
  if (!tokenizer.hasChat) {
    throw new Error(
      `model ${JSON.stringify(folder)} has no chat template; expected chat_template in ` +
        'tokenizer_config.json or chat_template.jinja. Leave out --chat to continue a text.',
    );
  }
  const settings: ChatSettings = {
    engine,
    tokenizer,
    system,
    request: defined(requestOf(options, pretrained)),
  };
  if (prompt === undefined) {
    const { userTerminal } = await import('../chat-terminal.ts');
    const terminal = userTerminal(signal);
    await chat(settings, terminal).finally(terminal.close);
    return;
  }
  const { text, written } = await new Conversation(settings).answer(prompt.trimEnd(), {
    write: (piece) => {
      if (!json) process.stdout.write(piece);
      else if (piece !== '\n') printJson('piece', { text: piece });
    },
    stopSignal: () => signal,
  });
  if (json) printJson('result', { text, ...timesOf(written) });
  else console.error(rate(written));
}

function timesOf({ promptTokens, tokens, waited, seconds }: Written) {
  return { promptTokens, completionTokens: tokens, waited, seconds };
}

/** Without what is undefined, so that defaults hold. */
function defined<T extends object>(options: T): T {
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  return Object.fromEntries(given) as T;
}
