import { readdir, readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createAdaptorServer } from '@hono/node-server';
import { isLoopback } from './access.ts';
import { type AppOptions, createApp } from './app.ts';
import type { PageFile, PageFiles } from './page.ts';

export interface ServerOptions extends Omit<AppOptions, 'closing' | 'localOnly' | 'page'> {
  /** The address to listen at (default 127.0.0.1: this machine only). */
  readonly host?: string;
  /** 0 takes a free one (default 8080). */
  readonly port?: number;
  /** The files of the chat page (default: those of the package). */
  readonly page?: PageFiles | undefined;
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
  const { host = '127.0.0.1', port = 8080, apiKeys = [] } = options;
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
      return stop(server);
    },
  };
}

/**
 * Finds out early whether a port can be had: to load a model takes longer.
 *
 * @throws Error as `startServer` does
 */
export async function requireFreePort(host: string, port: number): Promise<void> {
  const probe = createServer();
  await listen(probe, host, port);
  await new Promise((resolve) => probe.close(resolve));
}

async function listen(server: Server, host: string, port: number): Promise<void> {
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, host, () => {
        server.off('error', reject);
        resolve();
      });
    });
  } catch (error) {
    throw new Error(reason(error as NodeJS.ErrnoException, host, port), { cause: error });
  }
}

function reason({ code, message }: NodeJS.ErrnoException, host: string, port: number): string {
  switch (code) {
    case 'EADDRINUSE':
      return (
        `port ${port} is taken: another program listens at ${host}:${port}. Choose another port ` +
        '(--port 8081), or let one be chosen (--port 0)'
      );
    case 'EACCES':
      return `port ${port} needs special rights; choose one from 1024 (--port 8080)`;
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return (
        `host is ${JSON.stringify(host)}, which is no address of this machine; expected ` +
        '127.0.0.1 for this machine only, or 0.0.0.0 for all that can reach it'
      );
    default:
      return `cannot listen at ${host}:${port}: ${message}`;
  }
}

/** Milliseconds after which connections that have become idle are looked for again. */
const SWEEP = 50;

async function stop(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  // Clients keep connections for their next request; those would hold the server open.
  const sweep = setInterval(() => server.closeIdleConnections(), SWEEP);
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
