import { spawn } from 'node:child_process';

/** Opens an address in the user's browser; where there is none, nothing happens but a line. */
export function openBrowser(url: string): void {
  const [program, ...args] =
    process.platform === 'darwin'
      ? ['open', url]
      : process.platform === 'win32'
        ? ['cmd', '/c', 'start', '', url]
        : ['xdg-open', url];
  const child = spawn(program, args, { stdio: 'ignore', detached: true });
  child.on('error', () => console.error(`no browser could be opened; go to ${url}`));
  child.unref();
}
