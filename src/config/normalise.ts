// From the file as written to the config that the family and the plan start from: defaults filled in, what the chosen
// workflow leaves out left out. Everything has been checked before.
import { dirname, posix, resolve } from 'node:path';
import { formatPlatform, type Platform, parsePlatform } from '../image/platform.ts';
import type { Config, ImageConfig, SourceConfig } from './config.ts';
import type { Written } from './schema.ts';

export interface Run {
  file: string;
  tags: string[];
  /** Name of the chosen workflow. */
  workflow?: string;
  disabled: ReadonlySet<string>;
}

export function normalise(written: Written, run: Run): Omit<Config, 'warnings'> {
  const folder = dirname(resolve(run.file));
  const takesPart = (name: string): boolean => !run.disabled.has(name);
  const exported = run.workflow === undefined ? undefined : written.workflows?.[run.workflow]?.exports;
  const groups = Object.entries(written.groups ?? {}).map(([name, group]): [string, typeof group] => [
    name,
    { ...group, images: group.images.filter(takesPart) },
  ]);
  const config: Omit<Config, 'warnings'> = {
    file: run.file,
    folder,
    family: written.family,
    platforms: toPlatforms(written.platforms),
    images: Object.entries(written.images)
      .filter(([name]) => takesPart(name))
      .map(([name, image]) => toImage(name, image, written, folder, takesPart)),
    groups: Object.fromEntries(groups.filter(([, group]) => group.images.length > 0)),
    exports: (written.exports ?? [])
      .filter(({ image }) => takesPart(image) && (exported?.includes(image) ?? true))
      .map(({ plain, ...rest }) => ({
        ...rest,
        ...(plain ? { plain: toPlatforms([plain]).map(formatPlatform).join() } : {}),
      })),
    assets: written.assets ?? {},
    workflows: written.workflows ?? {},
    tags: run.tags,
    builders: written.builders?.map(({ platforms, ...builder }) => ({
      ...builder,
      ...(platforms ? { platforms: toPlatforms(platforms) } : {}),
    })) ?? [{ name: 'local', endpoint: 'local', engine: 'docker' }],
    registry: toRegistry(written.registry),
    registries: written.registries ?? {},
    publish: written.publish,
    chain: written.chain,
    archTagSuffix: written.archTagSuffix,
    ci: written.ci ?? {},
  };
  return config;
}

function toImage(
  name: string,
  image: Written['images'][string],
  written: Written,
  folder: string,
  takesPart: (name: string) => boolean,
): ImageConfig {
  const defaults = written.defaults ?? {};
  const context = posix.normalize(image.context ?? defaults.context ?? '.');
  const dockerfile = image.dockerfile ?? defaults.dockerfile ?? posix.join(context, 'Dockerfile');
  const target = image.target ?? defaults.target;
  return {
    name,
    repository: image.repository,
    source: toSource(image.source, folder),
    dockerfile: posix.normalize(dockerfile),
    context,
    args: Object.fromEntries(
      Object.entries({ ...defaults.args, ...image.args }).map(([key, value]) => [key, String(value)]),
    ),
    needs: [...new Set(image.needs ?? [])].filter(takesPart),
    platforms: toPlatforms(image.platforms ?? defaults.platforms ?? written.platforms),
    secrets: image.secrets ?? defaults.secrets ?? [],
    mode: image.mode ?? defaults.mode ?? written.mode ?? 'native',
    ...(target === undefined ? {} : { target }),
    ...(image.mirror === undefined ? {} : { mirror: image.mirror }),
    ...(image.tags === undefined ? {} : { tags: image.tags }),
  };
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
