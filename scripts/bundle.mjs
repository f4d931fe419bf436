// Bundles the command line into dist/, or the folder that is given: cli.js, which is small and answers `--version` alone, main.js with the
// declarations of the commands, and the chunks of the commands, which are loaded when they are called.
import { chmod, readFile, rm } from 'node:fs/promises';
import { builtinModules } from 'node:module';
import { join } from 'node:path';
import { build } from 'esbuild';

const root = join(import.meta.dirname, '..');
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

/** Of a namespace that is imported whole, esbuild leaves out what isn't used; of one that is imported by name it can't: 500 kB of zod. */
const zod = {
  name: 'zod',
  setup: ({ onLoad }) =>
    onLoad({ filter: /[\\/]src[\\/].*\.ts$/ }, async ({ path }) => ({
      loader: 'ts',
      contents: (await readFile(path, 'utf8')).replace(/^import \{ z \} from 'zod';$/m, "import * as z from 'zod';"),
    })),
};

/** Of undici, the client: its index has mocks, caches, WebSockets and fetch as well, and runs them all. Proxies and HTTP/2 when there is one. */
const undici = {
  name: 'undici',
  setup: ({ onResolve, onLoad }) => {
    onResolve({ filter: /^undici$/ }, () => ({ path: 'undici', namespace: 'part' }));
    onResolve({ filter: /^\.\/client-h2(\.js)?$/ }, ({ resolveDir }) => ({
      path: join(resolveDir, 'client-h2.js'),
      namespace: 'called',
    }));
    onLoad({ filter: /.*/, namespace: 'called' }, ({ path }) => ({
      resolveDir: root,
      contents: `module.exports = (...given) => require(${JSON.stringify(path)})(...given);`,
    }));
    onLoad({ filter: /^undici$/, namespace: 'part' }, () => ({
      resolveDir: root,
      contents: `
        const dispatcher = require('undici/lib/dispatcher/dispatcher.js').prototype;
        dispatcher.request = require('undici/lib/api/api-request.js');
        // A proxy's, for TLS through it.
        dispatcher.connect = require('undici/lib/api/api-connect.js');
        exports.Agent = require('undici/lib/dispatcher/agent.js');
        Object.defineProperty(exports, 'EnvHttpProxyAgent', {
          enumerable: true,
          get: () => require('undici/lib/dispatcher/env-http-proxy-agent.js'),
        });`,
    }));
  },
};

/**
 * Node's own modules, each asked for when it is first used: an import statement makes Node read every export of a module, so that
 * `import { stdout } from 'node:process'` opens all three streams, and undici wants two small things of an HTTP server that takes 5 ms to load.
 */
const builtins = {
  name: 'builtins',
  setup: ({ onResolve, onLoad }) => {
    const names = new Set(builtinModules);
    onResolve({ filter: /^(node:)?[a-z_/]+[0-9]?$/ }, ({ path }) => {
      const name = path.replace(/^node:/, '');
      return names.has(name) || path.startsWith('node:') ? { path: name, namespace: 'builtin' } : undefined;
    });
    onLoad({ filter: /.*/, namespace: 'builtin' }, ({ path }) => ({
      contents: late.includes(path)
        ? `let found;
           const real = () => (found ??= process.getBuiltinModule(${JSON.stringify(path)}));
           for (const key of ${JSON.stringify(Object.keys(process.getBuiltinModule(path) ?? {}))})
             Object.defineProperty(exports, key, { enumerable: true, get: () => real()[key] });`
        : `module.exports = process.getBuiltinModule(${JSON.stringify(path)});`,
    }));
  },
};
/** Those that cost most, and are used as `module.member` by whoever may not need them after all. */
const late = ['http', 'https', 'http2', 'tls', 'crypto', 'zlib', 'child_process', 'dns', 'worker_threads'];

await rm(out, { recursive: true, force: true });
await build({
  ...shared,
  entryPoints: { main: 'src/cli/main.ts' },
  splitting: true,
  chunkNames: 'chunks/[name]-[hash]',
  plugins: [zod, undici, builtins],
});
await build({
  ...shared,
  entryPoints: { cli: 'src/cli/start.ts' },
  banner: { js: '#!/usr/bin/env node' },
  // In a build of its own, so that what both need is in both: a file that needn't be opened.
  plugins: [
    builtins,
    {
      name: 'main',
      setup: ({ onResolve }) => onResolve({ filter: /^\.\/main\.ts$/ }, () => ({ path: './main.js', external: true })),
    },
  ],
});
await chmod(`${out}/cli.js`, 0o755);
