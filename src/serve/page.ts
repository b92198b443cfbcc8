import { PAGE_HEADERS } from './page-headers.ts';

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

export function servePage(path: string, files: PageFiles | undefined): Response {
  if (files === undefined) {
    return text(
      503,
      'The chat page is not built: run `npm run build` in the folder of the package, then start ' +
        'the server again. The API works without it.',
    );
  }
  if (path === '/' || path === '/chat') {
    return new Response(null, { status: 302, headers: { ...PAGE_HEADERS, location: START } });
  }
  const file = files.get(path);
  if (file === undefined) return text(404, `There is no ${path.slice(0, 200)} here.`);
  // The names of assets hold a hash of their content.
  const cache = path.startsWith('/assets/') ? 'public, max-age=31536000, immutable' : 'no-cache';
  return new Response(file.bytes, {
    headers: { ...PAGE_HEADERS, 'content-type': file.type, 'cache-control': cache },
  });
}

function text(status: number, message: string): Response {
  return new Response(`${message}\n`, {
    status,
    headers: { ...PAGE_HEADERS, 'content-type': 'text/plain; charset=utf-8' },
  });
}
