import { basename, resolve } from 'node:path';
import { Command } from 'commander';
import { apiKey } from '../../base/env.ts';
import { requireFreePort } from '../../serve/index.ts';
import { interruptible } from '../interrupt.ts';
import { openBrowser } from '../open-browser.ts';
import { openModel } from '../open-model.ts';
import { integer } from '../options.ts';
import { serveModel } from '../serving.ts';

interface ServeOptions {
  readonly host: string;
  readonly port: number;
  readonly apiKey?: string;
  readonly modelName?: string;
  readonly slots?: number;
  readonly maxWaiting?: number;
  readonly context?: number;
  readonly cors?: readonly string[];
  readonly adapter?: string;
  readonly open?: boolean;
  readonly json?: boolean;
}

const EXAMPLES = `
Examples:
  tersor serve my-model                            a chat page, and an API as OpenAI's
  tersor serve my-model --port 0 --open            at any free port, in the browser
  TERSOR_API_KEY=secret tersor serve my-model --host 0.0.0.0
                                                   for other machines, with a key

The key in the environment is better than --api-key, which others on this machine can see.`;

export function serveCommand(finish: (code: number) => void): Command {
  return new Command('serve')
    .description('serve a model over HTTP: a chat page, and an API that OpenAI clients use')
    .argument('<model>', 'the folder of a model')
    .option('--host <address>', 'where to listen', '127.0.0.1')
    .option('-p, --port <n>', '0 takes a free one', integer(0, 65535), 8080)
    .option('--api-key <key>', 'asked for everywhere but on the page (default: TERSOR_API_KEY)')
    .option('--model-name <name>', "the name for clients (default: the folder's)")
    .option('--slots <n>', 'texts written at the same time (default: by memory)', integer(1))
    .option('--max-waiting <n>', 'requests that may wait beyond those (default: 64)', integer(0))
    .option('--context <n>', 'tokens of prompt and answer together (default: all)', integer(2))
    .option('--cors <origin...>', 'other pages that may use the API; * for all')
    .option('--adapter <folder>', 'a LoRA adapter of the model')
    .option('--open', 'open the chat page in the browser')
    .option('--json', 'lines of JSON instead of text')
    .addHelpText('after', EXAMPLES)
    .action(async (folder: string, options: ServeOptions) => {
      // A server is ended by a signal: that is no failure.
      await interruptible((signal) => serve(folder, options, signal));
      finish(0);
    });
}

async function serve(folder: string, options: ServeOptions, signal: AbortSignal): Promise<void> {
  const { apiKey: key = apiKey(), modelName, open, adapter, ...rest } = options;
  await requireFreePort(options.host, options.port);
  const pretrained = await openModel(folder, { adapter, needsTokenizer: true });
  try {
    await serveModel(
      pretrained,
      {
        ...rest,
        name: modelName ?? basename(resolve(folder)),
        apiKeys: key === undefined ? [] : [key],
        onListening: ({ origin }) => {
          if (open) openBrowser(`${origin}/`);
        },
      },
      signal,
    );
  } finally {
    pretrained.model.dispose();
  }
}
