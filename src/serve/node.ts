import { readdir, readFile } from 'node:fs/promises';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createAdaptorServer } from '@hono/node-server';
import type { TextEngine } from '../generate/engine-types.ts';
import { isLoopback } from './access.ts';
import { type AppOptions, createApp } from './app.ts';
import { listen } from './listen.ts';
import type { PageFile, PageFiles } from './page.ts';

export interface ServerOptions extends Omit<AppOptions, 'closing' | 'localOnly' | 'page'> {
  /** The address to listen at (default 127.0.0.1: this machine only). */
  readonly host?: string;
  /** 0 takes a free one (default 8080). */
  readonly port?: number;
  /** The files of the chat page (default: those of the package). */
  readonly page?: PageFiles | undefined;
  /** Seconds that clients have to read the rest of their answers when it stops (default 5). */
  readonly graceSeconds?: number;
}

export interface RunningServer {
  /** `http://127.0.0.1:8080` */
  readonly origin: string;
  readonly port: number;
  /** Whether there is a chat page at /. */
  readonly hasPage: boolean;
  /** Refuses what comes, waits until what runs is answered, and frees the port. */
  stop(): Promise<void>;
}

/**
 * Serves a model over HTTP. Without a key, and on an address of this machine for itself, only
 * requests to such an address or to localhost are answered.
 *
 * @throws Error that says what to do where the port or the address cannot be had
 */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const { host = '127.0.0.1', port = 8080, apiKeys = [], graceSeconds = 5 } = options;
  const closing = new AbortController();
  const page = 'page' in options ? options.page : await readPageFiles();
  const localOnly = apiKeys.length === 0 && isLoopback(host);
  const app = createApp({ ...options, page, localOnly, closing: closing.signal });
  const server = createAdaptorServer({ fetch: app.fetch, hostname: host }) as Server;
  await listen(server, host, port);
  const bound = (server.address() as AddressInfo).port;
  // An address that stands for all of the machine's is none that a browser can go to.
  const name = host === '0.0.0.0' || host === '::' ? 'localhost' : host;
  return {
    origin: `http://${name.includes(':') ? `[${name}]` : name}:${bound}`,
    port: bound,
    hasPage: page !== undefined,
    stop: () => {
      closing.abort();
      return stop(server, options.engine, graceSeconds);
    },
  };
}

/** Milliseconds after which connections are looked at again. */
const SWEEP = 50;

/** @param graceSeconds that clients have to read the rest, once nothing is written any more */
async function stop(server: Server, engine: TextEngine, graceSeconds: number): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  let idleSince = performance.now();
  const sweep = setInterval(() => {
    // Clients keep connections for their next request; those would hold the server open.
    server.closeIdleConnections();
    const { running, waiting } = engine.stats();
    if (running + waiting > 0) idleSince = performance.now();
    // So would one who has stopped reading.
    else if (performance.now() - idleSince > 1000 * graceSeconds) server.closeAllConnections();
  }, SWEEP);
  server.closeIdleConnections();
  await closed;
  clearInterval(sweep);
}

const TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/** The built pages: dist/web lies at the same place seen from src/serve and from dist/serve. */
const BUILT = fileURLToPath(new URL('../../dist/web/', import.meta.url));

/** The files of a built page, or undefined where none is built. */
export async function readPageFiles(folder = BUILT): Promise<PageFiles | undefined> {
  let names: string[];
  try {
    names = await readdir(folder, { recursive: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  const files = new Map<string, PageFile>();
  for (const name of names) {
    const type = TYPES[extname(name)];
    if (type === undefined) continue;
    const path = `/${name.split(sep).join('/')}`.replace(/\/index\.html$/, '/');
    files.set(path, { type, bytes: new Uint8Array(await readFile(join(folder, name))) });
  }
  return files.has('/chat/') ? files : undefined;
}
