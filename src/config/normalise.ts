// From the file as written to the config that the family and the plan start from: defaults filled in, what the chosen
// workflow leaves out left out. Everything has been checked before.
import { dirname, posix, resolve } from 'node:path';
import { formatPlatform, type Platform, parsePlatform } from '../image/platform.ts';
import type {
  AssetConfig,
  AssetImage,
  AuditConfig,
  CiConfig,
  Config,
  ExportConfig,
  GroupConfig,
  ImageConfig,
  SourceConfig,
  WorkflowConfig,
} from './config.ts';
import type { Path } from './parse.ts';
import { parsed } from './platform-rules.ts';
import type { Written } from './schema.ts';
import { type AsWritten, buildsImages } from './scopes.ts';

export interface Run {
  file: string;
  tags: string[];
  /** Name of the chosen workflow. */
  workflow?: string;
  disabled: ReadonlySet<string>;
  asWritten(paths: readonly Path[]): AsWritten;
}

/** `written` has the defaults in its images already. */
export function normalise(written: Written, run: Run): Omit<Config, 'warnings'> {
  const folder = dirname(resolve(run.file));
  const platforms = toPlatforms(written.platforms);
  const takesPart = (name: string): boolean => !run.disabled.has(name);
  const exported = run.workflow === undefined ? undefined : written.workflows?.[run.workflow]?.exports;
  const groups = Object.entries(written.groups ?? {})
    .map(([name, group]) => toGroup(name, { ...group, images: group.images.filter(takesPart) }, folder, run))
    .filter(({ images }) => images.length > 0);
  const config: Omit<Config, 'warnings'> = {
    file: run.file,
    folder,
    family: written.family,
    platforms,
    images: Object.entries(written.images)
      .filter(([name]) => takesPart(name))
      .map(([name, image]) => toImage(name, image, { mode: written.mode, platforms, folder }, run)),
    groups: Object.fromEntries(groups.map((group) => [group.name, group])),
    exports: (written.exports ?? [])
      .map((entry, index) => toExport(entry, index, run))
      .filter(({ image }) => takesPart(image) && (exported?.includes(image) ?? true)),
    assets: mapValues(written.assets ?? {}, (asset) => toAsset(asset, written.platforms)),
    workflows: mapValues(written.workflows ?? {}, toWorkflow),
    tags: run.tags,
    builders: written.builders?.map(({ platforms, ...builder }) => ({
      ...builder,
      ...(platforms ? { platforms: toPlatforms(platforms) } : {}),
    })) ?? [{ name: 'local', endpoint: 'local', engine: 'docker' }],
    registry: toRegistry(written.registry),
    registries: written.registries ?? {},
    publish: written.publish,
    failedPlatform: written.failedPlatform,
    gates: (written.gates ?? []).map((gate) => (typeof gate === 'string' ? { name: gate, run: gate } : gate)),
    chain: written.chain,
    archTagSuffix: written.archTagSuffix,
    ci: toCi(written.ci ?? {}),
    costs: written.costs ?? {},
  };
  return config;
}

function toImage(
  name: string,
  image: Written['images'][string],
  {
    mode = 'native',
    platforms,
    folder,
  }: { mode: ImageConfig['mode'] | undefined; platforms: Platform[]; folder: string },
  { disabled, asWritten }: Run,
): ImageConfig {
  const path = ['images', name];
  const context = posix.normalize(image.context ?? '.');
  const dockerfile = image.dockerfile ?? posix.join(context, 'Dockerfile');
  const args = mapValues(image.args ?? {}, String);
  const argNames = Object.keys(args);
  const hasSource = image.source !== undefined;
  const { texts, vars } = asWritten([
    [...path, 'repository'],
    ...(hasSource ? [[...path, 'source']] : []),
    ...argNames.map((arg) => [...path, 'args', arg]),
  ]);
  const [repository = image.repository, ...others] = texts;
  const [source] = hasSource ? others.splice(0, 1) : [];
  return {
    name,
    repository: image.repository,
    source: toSource(image.source, folder),
    dockerfile: posix.normalize(dockerfile),
    context,
    args,
    needs: [...new Set(image.needs ?? [])].filter((need) => !disabled.has(need)),
    platforms: image.platforms ? toPlatforms(image.platforms) : platforms,
    secrets: image.secrets ?? [],
    test: typeof image.test === 'string' ? [image.test] : (image.test ?? []),
    audit: toAudit(image.audit),
    mode: image.mode ?? mode,
    ...(image.target === undefined ? {} : { target: image.target }),
    ...(image.mirror === undefined ? {} : { mirror: image.mirror }),
    ...(image.tags === undefined ? {} : { tags: image.tags }),
    job: image.job ?? jobName(name),
    vars,
    written: {
      repository,
      ...(source === undefined ? {} : { source }),
      args: Object.fromEntries(argNames.map((arg, index) => [arg, others[index] ?? ''])),
    },
  };
}

function toAudit(written: Written['images'][string]['audit']): AuditConfig {
  if (typeof written === 'string') return { mode: written, allow: [] };
  return { mode: written?.mode ?? 'stop', allow: written?.allow ?? [] };
}

function toGroup(
  name: string,
  group: NonNullable<Written['groups']>[string],
  folder: string,
  { asWritten }: Run,
): GroupConfig {
  const hasSource = group.source !== undefined;
  const fields = hasSource ? ['source', 'script'] : ['script'];
  const { texts, vars } = asWritten(fields.map((field) => ['groups', name, field]));
  const [source] = hasSource ? texts : [];
  return {
    name,
    job: group.job ?? jobName(name),
    images: group.images,
    source: toSource(group.source, folder),
    script: group.script,
    vars,
    written: { ...(source === undefined ? {} : { source }), script: texts.at(-1) ?? group.script },
  };
}

/** What something is called in the names of CI jobs if it does not say. */
export function jobName(name: string): string {
  return name.replace(/[^A-Za-z0-9_-]/g, '-');
}

function toExport(
  { image, file, plain, deploy }: NonNullable<Written['exports']>[number],
  index: number,
  { asWritten }: Run,
): ExportConfig {
  const { texts, vars } = asWritten([['exports', index, 'file']]);
  return { image, file, ...toPlain(plain), ...(deploy ? { deploy } : {}), vars, written: { file: texts[0] ?? file } };
}

function toAsset({ images, plain, deploy }: NonNullable<Written['assets']>[string], platforms: string[]): AssetConfig {
  return {
    images: images.map((item): AssetImage => {
      const given = typeof item === 'string' ? { image: item } : item;
      return {
        image: given.image,
        ...assetNames(given),
        platforms: toPlatforms(given.platforms ?? platforms),
      };
    }),
    ...toPlain(plain),
    ...(deploy ? { deploy } : {}),
  };
}

/** The name that an image of an asset is saved under, and that of its file, each from the other where it is not given. */
export function assetNames(item: { image: string; as?: string; file?: string }): { as: string; file: string } {
  const last = item.image.replace(/@.*$/, '').split('/').at(-1) ?? '';
  const as = item.as ?? (last.includes(':') ? last : `${last}:latest`);
  return { as, file: item.file ?? as.replace(/[:/]/g, '-') };
}

function toPlain(plain: string | undefined): { plain?: string } {
  return plain === undefined ? {} : { plain: toPlatforms([plain]).map(formatPlatform).join() };
}

function toWorkflow(workflow: NonNullable<Written['workflows']>[string]): WorkflowConfig {
  return {
    ...workflow,
    vars: mapValues(workflow.vars ?? {}, String),
    assets: workflow.assets ?? [],
    jobs: workflow.jobs ?? [],
    builds: buildsImages(workflow),
  };
}

function toCi({ circleci, github, gitlab }: NonNullable<Written['ci']>): CiConfig {
  const byMachine = <T>(given: Record<string, T>): Record<string, T> =>
    Object.fromEntries(Object.entries(given).map(([key, value]) => [parsed(key) ?? key, value]));
  const { resourceClass } = circleci ?? {};
  const { runners } = github ?? {};
  const { tags } = gitlab ?? {};
  return {
    ...(circleci && { circleci: { ...circleci, ...(resourceClass && { resourceClass: byMachine(resourceClass) }) } }),
    ...(github && { github: { ...github, ...(runners && { runners: byMachine(runners) }) } }),
    ...(gitlab && { gitlab: { ...gitlab, ...(tags && { tags: byMachine(tags) }) } }),
  };
}

function mapValues<T, U>(map: Record<string, T>, change: (value: T) => U): Record<string, U> {
  return Object.fromEntries(Object.entries(map).map(([key, value]) => [key, change(value)]));
}

function toPlatforms(names: string[]): Platform[] {
  return names.flatMap((name) => {
    const platform = parsePlatform(name);
    return platform.ok ? [platform.value] : [];
  });
}

function toRegistry(written: Written['registry']): Config['registry'] {
  if (typeof written !== 'string') {
    return written?.listen === undefined ? { kind: 'embedded' } : { kind: 'embedded', listen: written.listen };
  }
  const [host = '', ...prefix] = written.split('/');
  return prefix.length > 0 ? { kind: 'remote', host, prefix: prefix.join('/') } : { kind: 'remote', host };
}

/** URL, ref and folder of a git source as `docker build` writes it: `https://…#ref:folder`, `git@host:path#ref`. */
export const gitSource = /^((?:https?|ssh|git|file):\/\/[^#]+|[\w.-]+@[\w.-]+:[^#]+)(?:#([^:]*)(?::(.*))?)?$/;

function toSource(written: string | undefined, folder: string): SourceConfig {
  const git = gitSource.exec(written ?? '');
  if (!git) return { kind: 'folder', path: resolve(folder, written ?? '.') };
  const [, url = '', ref, subdir] = git;
  return subdir ? { kind: 'git', url, ref: ref || 'HEAD', subdir } : { kind: 'git', url, ref: ref || 'HEAD' };
}
