import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { benchCache } from '../cache.ts';

/** Peers that npm has, in the versions that the benches were made with. */
const PACKAGES: Readonly<Record<string, string>> = {
  [`@node-llama-cpp/${process.platform}-${process.arch}`]: '3.22.1',
  'onnxruntime-node': '1.30.0',
};

/** The folder of a peer's package, or undefined where it is not installed. */
export function peerFolder(name: string): string | undefined {
  const folder = join(benchCache('peers'), 'node_modules', name);
  return existsSync(join(folder, 'package.json')) ? folder : undefined;
}

/**
 * Installs the peers that npm has into the benches' own folder. Their scripts do not run: what they
 * need lies in the packages, and the scripts would load other things from elsewhere.
 *
 * @returns a line for each of them; one that npm does not have for this system says so
 */
export async function installPeers(): Promise<string[]> {
  const folder = benchCache('peers');
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'package.json'), '{ "private": true }\n');
  const lines: string[] = [];
  for (const [name, version] of Object.entries(PACKAGES)) {
    const flags = ['--ignore-scripts', '--no-audit', '--no-fund', '--save-exact'];
    try {
      await promisify(execFile)('npm', ['install', ...flags, `${name}@${version}`], {
        cwd: folder,
        env: { ...process.env, ONNXRUNTIME_NODE_INSTALL: 'skip' },
        shell: process.platform === 'win32',
      });
      lines.push(`${name} ${version} is in ${folder}`);
    } catch (error) {
      const { stderr = '', message } = error as { stderr?: string; message: string };
      const reason = stderr.trim().split('\n')[0] || message;
      lines.push(`${name} ${version} could not be installed: ${reason}`);
    }
  }
  return lines;
}
