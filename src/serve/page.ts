/** The files of a built page, by their paths: `/chat/`, `/assets/chat-a1b2.js`. */
export type PageFiles = ReadonlyMap<string, PageFile>;

export interface PageFile {
  readonly type: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

const START = '/chat/';

/** Whether a path belongs to the page; nobody needs a key for these. */
export function isPageRequest(path: string): boolean {
  return path === '/' || path === '/chat' || path.startsWith(START) || path.startsWith('/assets/');
}

/**
 * The page may load what comes from here and nothing else, may not be framed, and runs no script
 * that stands in the text of a document: not even a mistake in it could carry a conversation away.
 */
const HEADERS = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
};

export function servePage(path: string, files: PageFiles | undefined): Response {
  if (files === undefined) {
    return text(
      503,
      'The chat page is not built: run `npm run build` in the folder of the package, then start ' +
        'the server again. The API works without it.',
    );
  }
  if (path === '/' || path === '/chat') {
    return new Response(null, { status: 302, headers: { ...HEADERS, location: START } });
  }
  const file = files.get(path);
  if (file === undefined) return text(404, `There is no ${path.slice(0, 200)} here.`);
  // The names of assets hold a hash of their content.
  const cache = path.startsWith('/assets/') ? 'public, max-age=31536000, immutable' : 'no-cache';
  return new Response(file.bytes, {
    headers: { ...HEADERS, 'content-type': file.type, 'cache-control': cache },
  });
}

function text(status: number, message: string): Response {
  return new Response(`${message}\n`, {
    status,
    headers: { ...HEADERS, 'content-type': 'text/plain; charset=utf-8' },
  });
}
