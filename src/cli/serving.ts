import {
  createEngine,
  EngineClosedError,
  type EngineOptions,
  type TextEngine,
} from '../generate/index.ts';
import type { Tokenizer } from '../io/index.ts';
import type { Pretrained } from '../models/index.ts';
import { isLoopback, type RunningServer, type ServerOptions, startServer } from '../serve/index.ts';
import { printJson } from './training-view.ts';

export interface ServingOptions
  extends EngineOptions,
    Pick<ServerOptions, 'host' | 'port' | 'apiKeys' | 'cors'> {
  /** The name that clients ask for. */
  readonly name: string;
  /** Lines of JSON instead of text. */
  readonly json?: boolean;
  /** Is told when the server can be reached. */
  readonly onListening?: (server: RunningServer) => void;
}

/**
 * Serves a model until the signal comes, and then until what runs is answered. The model stays the
 * caller's.
 *
 * @throws Error where there is no tokenizer, or the port cannot be had
 */
export async function serveModel(
  pretrained: Pretrained,
  options: ServingOptions,
  signal: AbortSignal,
): Promise<void> {
  const { tokenizer } = pretrained;
  if (tokenizer === undefined) {
    throw new Error(
      `model ${JSON.stringify(options.name)} has no tokenizer.json; expected one beside its ` +
        'weights: texts cannot be served without it',
    );
  }
  const { json = false, name } = options;
  const engine = createEngine(pretrained, options);
  try {
    await warm(engine, tokenizer.bosId ?? 0, signal);
    const server = await startServer({ ...options, engine, tokenizer, model: name });
    if (json) printJson('listening', { origin: server.origin, port: server.port, model: name });
    else tell(server, options, tokenizer);
    options.onListening?.(server);
    prepareRest(engine);
    await aborted(signal);
    const { running, waiting } = engine.stats();
    if (running + waiting > 0) {
      const what = running + waiting === 1 ? 'one answer' : `${running + waiting} answers`;
      console.error(`finishing ${what}; once more ends it at once`);
    }
    await server.stop();
    if (json) printJson('stopped', {});
  } finally {
    await engine.close();
  }
}

/** Tokens of a prompt that takes pieces of all sizes in which prompts are put in. */
const ALL_PIECES = 180;

/**
 * Writes once, which compiles what one text needs: no client waits for that, and a model that cannot
 * write is told before anybody asks it.
 */
async function warm(engine: TextEngine, id: number, signal: AbortSignal): Promise<void> {
  const prompt = new Int32Array(Math.min(ALL_PIECES, engine.context - 2)).fill(id);
  for await (const _ of engine.generate({ prompt, maxTokens: 2, temperature: 0, signal }));
  signal.throwIfAborted();
}

/** Compiles what several texts at the same time need, whenever nobody asks for anything. */
function prepareRest(engine: TextEngine): void {
  engine.prepare?.().catch((error: unknown) => {
    if (error instanceof EngineClosedError) return;
    console.error(`warning: several texts at the same time may fail: ${(error as Error).message}`);
  });
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

function tell(
  { origin, hasPage }: RunningServer,
  { name, apiKeys = [], host = '127.0.0.1' }: ServingOptions,
  tokenizer: Tokenizer,
): void {
  const key = apiKeys.length > 0;
  const header = key ? ` \\\n    -H "authorization: Bearer $TERSOR_API_KEY"` : '';
  const page = hasPage ? `${origin}/` : 'not built; run `npm run build` and start again';
  console.log(
    `${name} is served.\n\n` +
      `  chat page   ${page}\n` +
      `  API         ${origin}/v1, as OpenAI's clients know it\n\n` +
      `  curl ${origin}/v1/chat/completions${header} \\\n` +
      `    -H 'content-type: application/json' \\\n` +
      `    -d '{"messages": [{"role": "user", "content": "Hello"}]}'\n\n` +
      'Ctrl-C ends it, after the answers that are being written.',
  );
  if (!tokenizer.hasChat) {
    console.error(
      'note: the model has no chat template; conversations are written as "Q: ..." and "A: ..."',
    );
  }
  if (!key && !isLoopback(host)) {
    console.error(
      `warning: whoever can reach ${host} can use the model; --api-key lets in who knows the key`,
    );
  }
}
