import { join } from 'node:path';
import type { Conversation, World } from '../../data/index.ts';
import { ensureFolder, saveTokenizer, trainTokenizer, writeFileAtomic } from '../../io/index.ts';
import type { RunSettings } from '../../train/index.ts';
import type { DemoSetting } from './setting.ts';

/** What the demonstration writes before it trains; all of it can be used again by hand. */
const FILES = {
  train: 'train.jsonl',
  validation: 'validation.jsonl',
  questions: 'questions.jsonl',
  tokenizer: 'tokenizer',
} as const;

/**
 * Who speaks, and the end of an answer. The space belongs to the first word: inside a text words
 * have it, too, and are then the same tokens. Three exchanges and a question are remembered, as many
 * as were ever trained on.
 */
const TEMPLATE =
  '{% for message in messages[-7:] %}' +
  "{% if message.role == 'assistant' %}{{ '<|assistant|> ' + message.content + '<|end|>' }}" +
  "{% elif message.role == 'user' %}{{ '<|user|> ' + (message.content | lower) }}{% endif %}" +
  '{% endfor %}' +
  "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}";

/** Writes corpus and tokenizer into a folder, and gives the run that learns from them. */
export async function writeDemoFiles(
  folder: string,
  world: World,
  { vocabulary }: DemoSetting,
): Promise<void> {
  await ensureFolder(folder);
  const lines = (records: readonly object[]) =>
    records.map((record) => `${JSON.stringify(record)}\n`).join('');
  const chats = (list: readonly Conversation[]) => lines(list.map((messages) => ({ messages })));
  const write = (name: string, content: string) => writeFileAtomic(join(folder, name), content);
  await write(FILES.train, chats(world.conversations));
  await write(FILES.validation, chats(world.validationConversations));
  const asked = world.questions.map(({ message, answer }) => ({ prompt: message, answer }));
  await write(FILES.questions, lines(asked));
  const texts = world.conversations.map((messages) =>
    messages.map(({ content }) => ` ${content}`).join('\n'),
  );
  const tokenizer = trainTokenizer(texts, {
    vocabSize: vocabulary,
    specialTokens: ['<|user|>', '<|assistant|>'],
    eosToken: '<|end|>',
    chatTemplate: TEMPLATE,
  });
  await saveTokenizer(join(folder, FILES.tokenizer), tokenizer);
}

/** The run that learns from the files of a folder. */
export function demoRun(
  folder: string,
  setting: DemoSetting,
  {
    seed,
    length,
  }: { readonly seed: number; readonly length: { steps: number } | { seconds: number } },
): RunSettings {
  const { layers, width, heads, context, sequence, batch, lr } = setting;
  return {
    model: { layers, width, heads, context },
    tokenizer: { from: join(folder, FILES.tokenizer) },
    data: {
      path: join(folder, FILES.train),
      validation: join(folder, FILES.validation),
      rows: 'padded',
    },
    train: { ...length, batch, sequence, seed },
    // Much decay: questions are asked in words that were learnt of other things, so what is learnt has to be
    // simple rather than exact.
    optimizer: { name: 'adamw', lr, weightDecay: 1 },
    checkpoints: { minutes: 0.5, keep: 2 },
    out: join(folder, 'model'),
  };
}
