import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';
import { Hono } from 'hono';
import { streamSSE } from 'hono/streaming';
import {
  isLoopback,
  listen,
  PAGE_HEADERS,
  type PageFile,
  type PageFiles,
  readPageFiles,
} from '../../serve/index.ts';
import type { TrainingProgress } from '../../train/index.ts';
import { History } from './history.ts';

/** A page that draws a run as it goes. */
export interface LivePage {
  /** `http://127.0.0.1:4321/` */
  readonly address: string;
  /** What the page is told of the run as a whole. */
  describe(about: RunTitle): void;
  update(progress: TrainingProgress): void;
  /** Tells the pages that are open how it ended, and frees the port. */
  end(state: RunEnd): Promise<void>;
}

export interface RunTitle {
  readonly name: string;
  readonly parameters: number;
  readonly out: string;
}

export type RunEnd = 'finished' | 'stopped' | 'failed';

interface Listener {
  send(event: string, data: unknown): void;
  close(): void;
}

const NOT_BUILT =
  'The training page is not built: run `npm run build` in the folder of the package and start the ' +
  'training again. The numbers are in metrics.jsonl meanwhile.\n';

/**
 * Serves the page on this machine alone.
 *
 * @param port 0 takes a free one
 * @throws Error that says what to do where the port is taken
 */
export async function startLivePage(port: number, files?: PageFiles): Promise<LivePage> {
  const pages = files ?? (await readPageFiles());
  const history = new History();
  const listeners = new Set<Listener>();
  const tell = (event: string, data: unknown) => {
    for (const listener of listeners) listener.send(event, data);
  };
  let about: RunTitle | undefined;
  const app = liveApp(pages, (listener) => {
    if (about) listener.send('about', about);
    listener.send('history', history.points);
    listeners.add(listener);
    return () => listeners.delete(listener);
  });
  const server = createAdaptorServer({ fetch: app.fetch }) as Server;
  await listen(server, '127.0.0.1', port, '--live');
  return {
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    describe(title) {
      about = title;
      tell('about', title);
    },
    update(progress) {
      history.add(progress);
      tell('progress', progress);
    },
    async end(state) {
      tell('end', state);
      for (const listener of listeners) listener.close();
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      // What is still open after the last events are sent holds nothing of value.
      setTimeout(() => server.closeAllConnections(), 200).unref();
      await closed;
    },
  };
}

function liveApp(pages: PageFiles | undefined, join: (listener: Listener) => () => void): Hono {
  const app = new Hono();
  app.use(async (context, next) => {
    await next();
    for (const [name, value] of Object.entries(PAGE_HEADERS)) context.header(name, value);
  });
  app.use((context, next) => {
    // A page of another site that was given this address must not read from here.
    const isOwn = isLoopback(new URL(context.req.url).hostname);
    return isOwn ? next() : Promise.resolve(context.text('not from here\n', 403));
  });
  app.get('/', (context) => context.redirect('/training/'));
  app.get('/training/events', (context) =>
    streamSSE(context, async (stream) => {
      let finish = () => {};
      const over = new Promise<void>((resolve) => {
        finish = resolve;
      });
      // One after the other: a slow reader must not see them out of order.
      let queue = Promise.resolve();
      const leave = join({
        send: (event, data) => {
          queue = queue.then(() => stream.writeSSE({ event, data: JSON.stringify(data) }));
        },
        close: () => {
          queue = queue.then(finish);
        },
      });
      stream.onAbort(finish);
      await over;
      leave();
    }),
  );
  app.get('*', (context) => {
    const file = pages?.get(context.req.path);
    if (!pages?.has('/training/')) return context.text(NOT_BUILT, 503);
    return file ? respond(file) : context.text('There is no such page.\n', 404);
  });
  return app;
}

function respond({ type, bytes }: PageFile): Response {
  return new Response(bytes, { headers: { 'content-type': type, 'cache-control': 'no-cache' } });
}
