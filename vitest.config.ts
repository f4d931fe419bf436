import { defineConfig } from 'vitest/config';

// Two projects: `unit` runs anywhere; `lab` needs Linux and root, and starts real hosts, engines and registries.
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['src/**/*.test.ts'],
          // HySDS's own files, which this compares with, are not part of the project: HYSDS_GIT and HYSDS_FACTS say where they are.
          exclude: process.env.HYSDS_GIT ? [] : ['src/config/import/hysds.test.ts'],
          setupFiles: ['test/seed.ts'],
          // Machines are slow now and then: this ends what hangs, and measures nothing.
          testTimeout: 60_000,
        },
      },
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
