// Serves the example to browsers of this machine.
//
//   node examples/browser/serve.ts [PORT]

import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = import.meta.dirname;
const library = fileURLToPath(new URL('.', import.meta.resolve('tersor')));

/** Folders by the first part of the path. */
const folders: Readonly<Record<string, string>> = { tersor: library };
const pages: Readonly<Record<string, string>> = { '/': 'index.html', '/main.js': 'main.js' };
const types: Readonly<Record<string, string>> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
};

function fileOf(path: string): string | undefined {
  if (Object.hasOwn(pages, path)) return join(here, pages[path]);
  const [, first, ...rest] = path.split('/');
  if (!Object.hasOwn(folders, first)) return undefined;
  const folder = folders[first].replace(/[/\\]$/, '') + sep;
  const file = join(folder, ...rest);
  return file.startsWith(folder) && !file.endsWith(sep) ? file : undefined;
}

const server = createServer(async (request, response) => {
  // These two headers isolate the page, which is what browsers ask for before threads share memory.
  response.setHeader('cross-origin-opener-policy', 'same-origin');
  response.setHeader('cross-origin-embedder-policy', 'require-corp');
  const file = fileOf(new URL(request.url ?? '/', 'http://localhost').pathname);
  const content = file === undefined ? undefined : await readFile(file).catch(() => undefined);
  if (file === undefined || content === undefined) {
    response.writeHead(404).end('Not found\n');
    return;
  }
  const type = types[extname(file)] ?? 'application/octet-stream';
  response.writeHead(200, { 'content-type': `${type}; charset=utf-8` }).end(content);
});

server.listen(Number(process.argv[2] ?? 8080), '127.0.0.1', () => {
  const address = server.address();
  if (typeof address === 'object') console.log(`http://127.0.0.1:${address?.port}/`);
});
