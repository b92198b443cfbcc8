import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Tests start workers and set up devices of their own; a process each keeps them apart.
    pool: 'forks',
    maxWorkers: 2,
    // Tests compile; they neither read nor fill the user's cache.
    env: { TERSOR_CACHE: 'off' },
    testTimeout: 60_000,
    hookTimeout: 60_000,
    reporters: ['default', './test/support/closing-line.ts'],
  },
});
