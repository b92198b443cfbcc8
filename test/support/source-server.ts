import { readFile, stat } from 'node:fs/promises';
import { createServer, type ServerResponse } from 'node:http';
import { stripTypeScriptTypes } from 'node:module';
import type { AddressInfo } from 'node:net';
import { extname, join, normalize, sep } from 'node:path';

const CONTENT_TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.json': 'application/json',
  '.mjs': 'text/javascript',
  '.safetensors': 'application/octet-stream',
  '.ts': 'text/javascript',
};

/** Where pages find packages that the sources name, if the folder `packages` is served. */
const PACKAGES = {
  '@huggingface/jinja': '/packages/@huggingface/jinja/dist/index.js',
  '@huggingface/tokenizers': '/packages/@huggingface/tokenizers/dist/tokenizers.mjs',
};

/** A page with nothing in it, not even an icon to ask for; a test imports into it what it wants. */
const BLANK = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Test</title>
<link rel="icon" href="data:,">
<script type="importmap">
${JSON.stringify({ imports: PACKAGES })}
</script>
</html>
`;

/** A server of this machine for this machine. */
export interface SourceServer {
  /** `http://127.0.0.1:PORT` */
  readonly origin: string;
  close(): Promise<void>;
}

/**
 * Serves folders to a browser: TypeScript with its types stripped, so that modules import each other
 * by the names they have in the sources; everything else as it is. `/` is a blank page. A page
 * whose address ends in `?isolated` is isolated from other origins and may share memory between
 * threads; other pages are not.
 *
 * @param mounts folders by the first part of the path
 */
export async function serveSources(
  mounts: Readonly<Record<string, string>>,
): Promise<SourceServer> {
  const stripped = new Map<string, { readonly time: number; readonly code: string }>();
  const contentOf = async (file: string): Promise<string | Buffer> => {
    if (extname(file) !== '.ts') return readFile(file);
    const { mtimeMs: time } = await stat(file);
    const known = stripped.get(file);
    if (known?.time === time) return known.code;
    const code = stripTypeScriptTypes(await readFile(file, 'utf8'));
    stripped.set(file, { time, code });
    return code;
  };
  const server = createServer((request, response) => {
    const { pathname, search } = new URL(request.url ?? '/', 'http://localhost');
    // Scripts, workers among them, must allow themselves to be embedded in an isolated page.
    response.setHeader('cross-origin-resource-policy', 'same-origin');
    const page = pathname === '/' || pathname.endsWith('.html');
    if (!page || search === '?isolated') {
      response.setHeader('cross-origin-opener-policy', 'same-origin');
      response.setHeader('cross-origin-embedder-policy', 'require-corp');
    }
    if (pathname === '/') {
      send(response, 200, '.html', BLANK);
      return;
    }
    const file = fileOf(pathname, mounts);
    if (file === undefined) {
      send(response, 404, '.html', `no ${pathname} here`);
      return;
    }
    contentOf(file).then(
      (content) => send(response, 200, extname(file), content),
      (error: unknown) => send(response, isMissing(error) ? 404 : 500, '.html', String(error)),
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function send(response: ServerResponse, status: number, kind: string, content: string | Buffer) {
  response.statusCode = status;
  response.setHeader('content-type', CONTENT_TYPES[kind] ?? 'application/octet-stream');
  response.end(content);
}

/** The file behind a path, never one outside the folder that its first part names. */
function fileOf(pathname: string, mounts: Readonly<Record<string, string>>): string | undefined {
  const [, first, ...rest] = decodeURIComponent(pathname).split('/');
  const folder = Object.hasOwn(mounts, first) ? mounts[first] : undefined;
  if (folder === undefined) return undefined;
  const file = normalize(join(folder, ...rest));
  return file.startsWith(folder + sep) ? file : undefined;
}

function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException | undefined)?.code === 'ENOENT';
}
