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

/**
 * What measures and cuts texts for terminals makes segmenters and large regular expressions as it is loaded, which takes Intl longer than all
 * else of a command's start: it is loaded when it is first called. string-width needs no segmenter even then, but for texts that few have.
 */
const widths = {
  name: 'widths',
  setup: ({ onResolve, onLoad, resolve }) => {
    onResolve(
      { filter: /^(string-width|slice-ansi|cli-truncate|log-update)$/ },
      async ({ path, pluginData, ...asked }) =>
        pluginData === 'itself'
          ? undefined
          : { namespace: 'text', path: (await resolve(path, { ...asked, pluginData: 'itself' })).path },
    );
    onLoad({ filter: /.*/, namespace: 'text' }, ({ path }) => ({
      resolveDir: root,
      contents: ['default', 'createLogUpdate']
        .map(
          (name) =>
            `const ${name}_ = (...given) => require(${JSON.stringify(path)}).${name}(...given); export { ${name}_ as ${name} };`,
        )
        .join('\n'),
    }));
    onLoad({ filter: /[\\/]string-width[\\/]index\.js$/ }, async ({ path }) => ({
      contents: (await readFile(path, 'utf8')).replace(
        /^const segmenter = (new Intl\.Segmenter\(\));$/m,
        'let made; const segmenter = { segment: (text) => (made ??= $1).segment(text) };',
      ),
    }));
  },
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
    // A module of named exports: a chunk that is imported late has what a script exports under `default` alone.
    onLoad({ filter: /^undici$/, namespace: 'part' }, () => ({
      resolveDir: root,
      contents: `
        const dispatcher = require('undici/lib/dispatcher/dispatcher.js').prototype;
        dispatcher.request = require('undici/lib/api/api-request.js');
        // A proxy's, for TLS through it.
        dispatcher.connect = require('undici/lib/api/api-connect.js');
        export const Agent = require('undici/lib/dispatcher/agent.js');
        export function EnvHttpProxyAgent(...given) {
          const EnvHttpProxyAgent = require('undici/lib/dispatcher/env-http-proxy-agent.js');
          return new EnvHttpProxyAgent(...given);
        }`,
    }));
  },
};

/**
 * Node's own modules, without their import statements, for which Node reads every export of a module: `import { stdout } from 'node:process'`
 * opens all three streams. Of those that cost most, nothing is loaded before it is used: undici wants two small things of an HTTP server that
 * takes 5 ms to load.
 */
const builtins = {
  name: 'builtins',
  setup: ({ onResolve, onLoad }) => {
    const names = new Set(builtinModules);
    const keysOf = (path) => Object.keys(process.getBuiltinModule(path) ?? {});
    onResolve({ filter: /^(node:)?[a-z_/]+[0-9]?$/ }, ({ path, kind }) => {
      const name = path.replace(/^node:/, '');
      if (!names.has(name) && !path.startsWith('node:')) return undefined;
      // Which of its exports are used can't be seen, and a Node that hasn't the module is to say so.
      if (kind === 'dynamic-import') return { path: `node:${name}`, external: true };
      const namespace =
        name === 'crypto' && kind === 'import-statement'
          ? 'functions'
          : late.includes(name)
            ? 'late'
            : kind === 'require-call'
              ? 'required'
              : 'imported';
      return { path: name, namespace, sideEffects: false };
    });
    onLoad({ filter: /.*/, namespace: 'required' }, ({ path }) => ({
      contents: `module.exports = process.getBuiltinModule(${JSON.stringify(path)});`,
    }));
    // Each export by itself, so that those that nobody uses are left out: reading some loads more modules (util's TextDecoder ten of them).
    onLoad({ filter: /.*/, namespace: 'imported' }, ({ path }) => ({
      contents: [
        `const real = /* @__PURE__ */ process.getBuiltinModule(${JSON.stringify(path)});`,
        'export default real;',
        ...keysOf(path)
          .filter((key) => /^[\w$]+$/.test(key) && key !== 'default')
          .map((key, at) => `const e${at} = /* @__PURE__ */ (() => real.${key})(); export { e${at} as ${key} };`),
      ].join('\n'),
    }));
    // Of crypto, only functions and classes are used, and each loads it when it is called.
    onLoad({ filter: /.*/, namespace: 'functions' }, ({ path }) => ({
      contents: keysOf(path)
        .map(
          (key) =>
            `export function ${key}(...given) {
              const { ${key}: real } = process.getBuiltinModule(${JSON.stringify(path)});
              return new.target ? new real(...given) : real(...given);
            }`,
        )
        .join('\n'),
    }));
    onLoad({ filter: /.*/, namespace: 'late' }, ({ path }) => ({
      contents: `
        let found;
        const real = () => (found ??= process.getBuiltinModule(${JSON.stringify(path)}));
        for (const key of ${JSON.stringify(keysOf(path))})
          Object.defineProperty(exports, key, { enumerable: true, get: () => real()[key] });`,
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
  plugins: [zod, widths, undici, builtins],
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
