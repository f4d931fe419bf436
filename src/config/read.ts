// Reads splitbuild.yaml: YAML, variables, schema, references; every problem found is located in the file.
import { dirname, join, resolve } from 'node:path';
import { closest } from 'fastest-levenshtein';
import { isMap, isNode, isScalar, LineCounter, parseDocument } from 'yaml';
import { type Diagnostic, fail, ok, type Result } from '../failure.ts';
import { type Platform, parsePlatform } from '../image/platform.ts';
import type { Config, SourceConfig } from './config.ts';
import { configSchema, jsonSchema } from './schema.ts';

export interface ReadOptions {
  file: string;
  env: Record<string, string | undefined>;
  set: Record<string, string>;
  git?: { branch?: string; tag?: string; commit?: string };
  workflow?: string;
  now?: Date;
}

const knownKeys = [...new Set(JSON.stringify(jsonSchema()).match(/(?<=")\w+(?=":\{"description")/g))];
const later = new Set(['tag', 'arch', 'archSuffix', 'archTag', 'platform', 'gitTag', 'branch', 'commit']);

/** Reads and checks a config; a failure holds all diagnostics of the stage that found them. */
export function readConfig(text: string, options: ReadOptions): Result<Config> {
  const counter = new LineCounter();
  const found: Diagnostic[] = [];
  const report = (code: string, message: string, start = 0, end = start + 1, help?: string) => {
    const { line, col } = counter.linePos(start);
    const row = text.split(/\r?\n/)[line - 1] ?? '';
    const endColumn = Math.max(col + 1, Math.min(col + end - start, row.length + 1));
    const location = { file: options.file, line: Math.max(1, line), column: Math.max(1, col), endColumn, text: row };
    found.push({ code, severity: 'error', message, location, help });
  };
  const failed = () => fail({ kind: 'diagnostics', diagnostics: found });
  const doc = parseDocument(text, { lineCounter: counter, merge: true, prettyErrors: false });
  for (const error of doc.errors) report('yaml-syntax', error.message, error.pos[0], error.pos[1]);
  if (found.length) return failed();
  const at = (path: readonly PropertyKey[], code: string, message: string, help?: string) => {
    for (let n = path.length; n >= 0; n--) {
      const node = doc.getIn(path.slice(0, n), true);
      const parent = code === 'unknown-key' && n > 0 ? doc.getIn(path.slice(0, n - 1), true) : undefined;
      const key = isMap(parent)
        ? parent.items.find((item) => isScalar(item.key) && item.key.value === path[n - 1])?.key
        : undefined;
      if (isNode(key) && key.range) return report(code, message, key.range[0], key.range[1], help);
      if (isNode(node) && node.range) return report(code, message, node.range[0], node.range[1], help);
    }
    report(code, message, 0, 1, help);
  };
  let raw: unknown;
  try {
    raw = doc.toJS();
  } catch (error) {
    report('yaml-syntax', String(error)); // an unresolved or too often repeated alias
    return failed();
  }
  const written = typeof raw === 'object' && raw !== null && 'vars' in raw ? raw.vars : {};
  const vars: Record<string, unknown> = { ...(written as object | null), ...options.set };
  const builtin: Record<string, string | undefined> = {
    date: (options.now ?? new Date()).toISOString().slice(0, 10),
    gitTag: options.git?.tag,
    branch: options.git?.branch,
    commit: options.git?.commit,
  };
  const expand = (value: string, path: PropertyKey[], seen: string[]): string =>
    value.replace(/\$\$|\$\{([^}]*)\}/g, (whole, name: string | undefined) => {
      if (name === undefined) return '$';
      if (name.startsWith('env:')) {
        const env = options.env[name.slice(4)];
        if (env === undefined) at(path, 'undefined-variable', `environment variable '${name.slice(4)}' is not set`);
        return env ?? '';
      }
      if (seen.includes(name)) {
        at(path, 'variable-cycle', `variables refer to each other: ${[...seen, name].join(' -> ')}`);
        return '';
      }
      if (Object.hasOwn(vars, name)) return expand(String(vars[name]), path, [...seen, name]);
      const known = builtin[name];
      if (known !== undefined) return known;
      if (later.has(name)) return whole;
      const near = closest(name, [...Object.keys(vars), ...later, 'date']);
      at(path, 'undefined-variable', `variable '${name}' is not defined`, `did you mean '\${${near}}'?`);
      return '';
    });
  const walk = (value: unknown, path: PropertyKey[]): unknown => {
    if (typeof value === 'string') return expand(value, path, []);
    // An anchor may hold itself: such a file has no end.
    if (path.length > 32) {
      if (!found.some((d) => d.code === 'too-deep')) at(path.slice(0, 1), 'too-deep', 'nested too deeply');
      return undefined;
    }
    if (Array.isArray(value)) return value.map((v, i) => walk(v, [...path, i]));
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, walk(v, [...path, k])]));
  };
  const parsed = configSchema.safeParse(walk(raw, []));
  for (const issue of parsed.error?.issues ?? []) {
    if (issue.code === 'unrecognized_keys')
      for (const key of issue.keys)
        at([...issue.path, key], 'unknown-key', `unknown key '${key}'`, `did you mean '${closest(key, knownKeys)}'?`);
    else at(issue.path, 'schema', `${issue.path.join('.') || 'config'}: ${issue.message}`);
  }
  if (!parsed.success) return failed();
  const c = parsed.data;
  const folder = dirname(resolve(options.file));
  const platforms = (names: string[], path: PropertyKey[]): Platform[] =>
    names.flatMap((name, i) => {
      const result = parsePlatform(name);
      if (result.ok) return [result.value];
      at([...path, i], 'platform', `'${name}' is not a platform`, 'write os/arch, as linux/amd64');
      return [];
    });
  const names = Object.keys(c.images);
  const check = (list: string[] | undefined, path: PropertyKey[]) =>
    list?.forEach((name, i) => {
      if (!names.includes(name))
        at([...path, i], 'unknown-image', `no image '${name}'`, `did you mean '${closest(name, names)}'?`);
    });
  const all = platforms(c.platforms, ['platforms']);
  const d = c.defaults ?? {};
  const images = Object.entries(c.images).map(([name, i]) => {
    check(i.needs, ['images', name, 'needs']);
    if (i.mirror && i.source) at(['images', name, 'mirror'], 'mirror-source', `'${name}' has both mirror and source`);
    const own = i.platforms ? platforms(i.platforms, ['images', name, 'platforms']) : undefined;
    const context = i.context ?? d.context ?? '.';
    return {
      name,
      repository: i.repository,
      source: source(i.source, folder),
      context,
      dockerfile: i.dockerfile ?? d.dockerfile ?? join(context, 'Dockerfile'),
      target: i.target ?? d.target,
      args: { ...d.args, ...i.args },
      needs: i.needs ?? [],
      mirror: i.mirror,
      platforms: own ?? (d.platforms ? platforms(d.platforms, ['defaults', 'platforms']) : all),
      secrets: i.secrets ?? d.secrets ?? [],
      mode: i.mode ?? d.mode ?? c.mode ?? ('native' as const),
    };
  });
  for (const [name, g] of Object.entries(c.groups ?? {})) check(g.images, ['groups', name, 'images']);
  const workflow = options.workflow === undefined ? undefined : c.workflows?.[options.workflow];
  if (options.workflow !== undefined && !workflow)
    at(['workflows'], 'unknown-workflow', `no workflow '${options.workflow}'`);
  const builders = c.builders?.map((b, i) => ({
    ...b,
    platforms: b.platforms && platforms(b.platforms, ['builders', i, 'platforms']),
  }));
  if (found.length) return failed();
  const [host = '', ...prefix] = typeof c.registry === 'string' ? c.registry.split('/') : [];
  return ok({
    file: options.file,
    folder,
    family: c.family,
    platforms: all,
    images,
    groups: c.groups ?? {},
    exports: c.exports ?? [],
    assets: c.assets ?? {},
    workflows: c.workflows ?? {},
    tags: workflow?.tags ?? c.tags ?? ['latest'],
    builders: builders ?? [{ name: 'local', endpoint: 'local', engine: 'docker' }],
    registry:
      typeof c.registry === 'string'
        ? { kind: 'remote', host, prefix: prefix.join('/') || undefined }
        : { kind: 'embedded', listen: c.registry?.listen },
    registries: c.registries ?? {},
    publish: c.publish,
    chain: c.chain,
    archTagSuffix: c.archTagSuffix,
    warnings: [],
  });
}

function source(written: string | undefined, folder: string): SourceConfig {
  const git = /^((?:https?|ssh|git|file):\/\/[^#]+|git@[^#]+)(?:#([^:]*)(?::(.*))?)?$/.exec(written ?? '');
  if (!git) return { kind: 'folder', path: resolve(folder, written ?? '.') };
  return { kind: 'git', url: git[1] ?? '', ref: git[2] || 'HEAD', subdir: git[3] };
}
