// Bundles the command line into dist/, or the folder that is given: cli.js, which is small and answers `--version` alone, main.js with the
// declarations of the commands, and the chunks of the commands, which are loaded when they are called.
import { chmod, rm } from 'node:fs/promises';
import { build } from 'esbuild';

const out = process.argv[2] ?? 'dist';
const shared = {
  outdir: out,
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node22.12',
  minifySyntax: true,
  legalComments: 'external',
  logLevel: 'warning',
};

await rm(out, { recursive: true, force: true });
await build({
  ...shared,
  entryPoints: { main: 'src/cli/main.ts' },
  splitting: true,
  chunkNames: 'chunks/[name]-[hash]',
  // Dependencies that are CommonJS call require() for Node's own modules.
  banner: {
    js: "import { createRequire as __createRequire } from 'node:module';\nconst require = __createRequire(import.meta.url);",
  },
});
await build({
  ...shared,
  entryPoints: { cli: 'src/cli/start.ts' },
  banner: { js: '#!/usr/bin/env node' },
  // In a build of its own, so that what both need is in both: a file that needn't be opened.
  plugins: [
    {
      name: 'main',
      setup: ({ onResolve }) => onResolve({ filter: /^\.\/main\.ts$/ }, () => ({ path: './main.js', external: true })),
    },
  ],
});
await chmod(`${out}/cli.js`, 0o755);
