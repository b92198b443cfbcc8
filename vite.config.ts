import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { defineConfig } from 'vite';

const root = join(import.meta.dirname, 'src', 'web');

/** Every folder of src/web with an index.html is a page of its own. */
const pages = readdirSync(root, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map((entry) => join(root, entry.name, 'index.html'));

// Its name notwithstanding Vitest does not read this file: vitest.config.ts stands before it.
export default defineConfig({
  root,
  // Pages are served from a path, or opened as files.
  base: './',
  publicDir: false,
  logLevel: 'warn',
  build: {
    outDir: join(import.meta.dirname, 'dist', 'web'),
    emptyOutDir: true,
    target: 'es2024',
    // The policy of the server allows no script within a document, and all browsers preload.
    modulePreload: false,
    assetsInlineLimit: 0,
    rolldownOptions: { input: pages },
  },
});
