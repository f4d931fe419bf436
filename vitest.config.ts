import { defineConfig } from 'vitest/config';

// Two projects: `unit` runs anywhere; `lab` needs Linux and root, and starts real hosts, engines and registries.
export default defineConfig({
  test: {
    projects: [
      { test: { name: 'unit', include: ['src/**/*.test.ts'], setupFiles: ['test/seed.ts'] } },
      {
        test: {
          name: 'lab',
          include: ['test/**/*.test.ts'],
          testTimeout: 300_000,
          hookTimeout: 300_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
