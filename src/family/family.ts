// The family: every image with what its Dockerfile depends on for each platform, in an order in which each comes after what it needs.
import { join } from 'node:path';
import type { Config, ImageConfig } from '../config/config.ts';
import { expandTemplate } from '../config/template.ts';
import { parseDockerfile } from '../dockerfile/instructions.ts';
import { asksForArgs, type FoundReference, readReferences } from '../dockerfile/references.ts';
import { type Diagnostic, fail, type Location, ok, type Result } from '../failure.ts';
import { archSuffix, formatPlatform, type Platform, parsePlatform } from '../image/platform.ts';
import { formatReference, type Reference, repositoryName } from '../image/reference.ts';
import { relativePath } from '../relative-path.ts';
import { readFiles } from './files.ts';
import { order } from './order.ts';
import { createSourceFetcher } from './source.ts';

/** A reference of a Dockerfile to an image of the family. */
export interface UpstreamReference {
  image: string;
  /** Platform whose image is meant: `FROM --platform=` or the one that is built. */
  platform: string;
  /** As resolved: `docker.io/hysds/base:develop`. */
  reference: string;
  /** UTF-16 offsets in the Dockerfile. */
  range: { start: number; end: number };
  location: Location;
}

/** A reference of a Dockerfile to an image of somebody else. */
export interface ExternalReference {
  /** As resolved: `docker.io/library/debian:12`. */
  reference: string;
  /** UTF-16 offsets in the Dockerfile. */
  range: { start: number; end: number };
}

export interface PlatformBuild {
  platform: Platform;
  /** Build arguments, with what they say of tag and platform filled in. */
  args: Record<string, string>;
  upstreams: UpstreamReference[];
  externals: ExternalReference[];
}

export interface FamilyImage {
  name: string;
  config: ImageConfig;
  context: string;
  dockerfile: string;
  text: string;
  commit?: string;
  builds: PlatformBuild[];
  /** Names of all images it depends on. */
  upstreams: string[];
}

export interface Family {
  images: FamilyImage[];
  warnings: Diagnostic[];
}

/** Repository of an image in the registry of the config, without the registry's host. */
export function registryPath(config: Config, repository: string): string {
  return config.registry.kind === 'remote' && config.registry.prefix
    ? `${config.registry.prefix}/${repository}`
    : repository;
}

export interface FamilyOptions {
  /** Git sources are left where they are: their images have the edges that `needs` names, and no others. */
  fetch: boolean;
}

/** Reads all Dockerfiles of a config and finds the edges; every problem is reported at once. */
export async function readFamily(
  config: Config,
  stateFolder: string,
  signal: AbortSignal,
  options: FamilyOptions = { fetch: true },
): Promise<Result<Family>> {
  const fetchSource = createSourceFetcher(join(stateFolder, 'sources'), signal);
  const problems: Diagnostic[] = [];
  const warnings: Diagnostic[] = [...config.warnings];
  const byRepository = repositoriesOf(config);
  const images: FamilyImage[] = [];
  const scripted = new Set(Object.values(config.groups).flatMap((group) => group.images));
  const own = config.images.filter(({ name, mirror }) => !mirror && !scripted.has(name));
  const looksAt = ({ source }: ImageConfig): boolean => options.fetch || source.kind !== 'git';
  const read = await readFiles(own.filter(looksAt), fetchSource, config.folder);
  if (!read.ok) return read;
  const allFiles = read.value.values();
  const here = process.cwd();
  for (const image of own) {
    const files = looksAt(image) ? allFiles.next().value : undefined;
    if (!files) {
      images.push(unread(image, config));
      continue;
    }
    const { context, dockerfile, commit } = files;
    if (!files.text.ok) {
      problems.push(files.text.problem);
      continue;
    }
    const text = files.text.value;
    const parsed = parseDockerfile(text);
    const file = relativePath(here, dockerfile) || dockerfile;
    const builds: PlatformBuild[] = [];
    let ofAll: ReturnType<typeof readReferences> | undefined;
    for (const platform of image.platforms) {
      const args = platformArgs(image, config, platform);
      const target = image.target ? { target: image.target } : {};
      const read = ofAll ?? readReferences(parsed, { file, platform, buildPlatform: platform, args, ...target });
      if (!asksForArgs(parsed)) ofAll = read;
      if (!read.ok) {
        if (read.failure.kind !== 'diagnostics') return read;
        problems.push(...read.failure.diagnostics);
        break;
      }
      warnings.push(...read.value.warnings);
      builds.push({
        platform,
        args,
        ...sortReferences(read.value.references, platform, config, byRepository, problems, warnings),
      });
    }
    const upstreams = new Set([
      ...image.needs,
      ...builds.flatMap((build) => build.upstreams.map((upstream) => upstream.image)),
    ]);
    images.push({
      name: image.name,
      config: image,
      context,
      dockerfile,
      text,
      builds,
      upstreams: [...upstreams],
      ...(commit ? { commit } : {}),
    });
  }
  problems.push(...missingPlatforms(images));
  const unique = dedupe(problems);
  if (unique.length > 0) return fail({ kind: 'diagnostics', diagnostics: unique });
  const ordered = order(images);
  if (!ordered.ok) return ordered;
  return ok({ images: ordered.value, warnings: dedupe(warnings) });
}

/** An image of a source that is not looked at. */
function unread(image: ImageConfig, config: Config): FamilyImage {
  const builds = image.platforms.map((platform) => ({
    platform,
    args: platformArgs(image, config, platform),
    upstreams: [],
    externals: [],
  }));
  return { name: image.name, config: image, context: '', dockerfile: '', text: '', builds, upstreams: image.needs };
}

function repositoriesOf(config: Config): Map<string, ImageConfig> {
  const found = new Map<string, ImageConfig>();
  for (const image of config.images) {
    // As Dockerfiles write it (Docker Hub is the default host), and as it is in the registry of the config.
    const hub = image.repository.includes('/') ? image.repository : `library/${image.repository}`;
    found.set(`docker.io/${hub}`, image);
    if (config.registry.kind === 'remote')
      found.set(`${config.registry.host}/${registryPath(config, image.repository)}`, image);
  }
  return found;
}

/** `${tag}`, `${arch}` and their like get the values of the platform. */
function platformArgs(image: ImageConfig, config: Config, platform: Platform): Record<string, string> {
  const args = Object.entries(image.args);
  if (args.length === 0) return {};
  const [tag = 'latest'] = image.tags ?? config.tags;
  const values = {
    tag,
    arch: archSuffix(platform),
    archSuffix: archTag('', config.archTagSuffix, platform),
    archTag: archTag(tag, config.archTagSuffix, platform),
    platform: formatPlatform(platform),
  };
  return Object.fromEntries(args.map(([name, template]) => [name, expandTemplate(template, values)]));
}

/** Into those of the family and those of somebody else. */
function sortReferences(
  references: FoundReference[],
  platform: Platform,
  config: Config,
  byRepository: Map<string, ImageConfig>,
  problems: Diagnostic[],
  warnings: Diagnostic[],
): Pick<PlatformBuild, 'upstreams' | 'externals'> {
  const upstreams: UpstreamReference[] = [];
  const externals: ExternalReference[] = [];
  for (const found of references) {
    if (found.state === 'unresolved') {
      problems.push({
        code: 'unresolved-reference',
        severity: 'error',
        message: `'${found.written}' can't be resolved to an image${found.reason ? `: ${found.reason}` : ''}`,
        location: found.location,
        help: "give the ARG a value under the image's 'args', or a default in the Dockerfile",
      });
    }
    if (found.state !== 'needed' || !found.reference) continue;
    const image = byRepository.get(repositoryName(found.reference));
    const asked = found.platform ? parsePlatform(found.platform) : undefined;
    const target = asked?.ok ? asked.value : platform;
    if (image && tagIsOurs(found.reference, image, config, target)) {
      upstreams.push({
        image: image.name,
        platform: formatPlatform(target),
        reference: formatReference(found.reference),
        range: found.range,
        location: found.location,
      });
    } else {
      externals.push({ reference: formatReference(found.reference), range: found.range });
      if (image) warnings.push(otherTag(found, image, config));
    }
  }
  return { upstreams, externals };
}

function otherTag(found: FoundReference, image: ImageConfig, config: Config): Diagnostic {
  const tags = image.tags ?? config.tags;
  return {
    code: 'other-tag',
    severity: 'warning',
    message: `'${found.value ?? found.written}' is not the '${image.name}' of this run, which gets ${tags.length > 1 ? 'the tags' : 'the tag'} ${tags.join(', ')}: it is fetched from its registry`,
    location: found.location,
    help: `write :${tags[0] ?? 'latest'}, or an ARG that is given \${tag} under 'args', to build on this run's`,
  };
}

/** A reference means the image of this run if it has one of its tags, or the arch tag of one; a digest never does. */
function tagIsOurs(reference: Reference, image: ImageConfig, config: Config, platform: Platform): boolean {
  if (reference.digest) return false;
  const tag = reference.tag ?? 'latest';
  return (image.tags ?? config.tags).some((own) => tag === own || tag === archTag(own, config.archTagSuffix, platform));
}

/** `develop` and `-${arch}` give `develop-arm64`. */
export function archTag(tag: string, suffix: string, platform: Platform): string {
  return tag + suffix.replaceAll('${arch}', archSuffix(platform));
}

function missingPlatforms(images: FamilyImage[]): Diagnostic[] {
  const byName = new Map(images.map((image) => [image.name, image]));
  return images.flatMap((image) =>
    image.builds.flatMap((build) =>
      build.upstreams.flatMap((upstream): Diagnostic[] => {
        const platforms = byName.get(upstream.image)?.config.platforms.map(formatPlatform);
        if (!platforms || platforms.includes(upstream.platform)) return [];
        return [
          {
            code: 'upstream-platform',
            severity: 'error',
            message: `image '${image.name}' for ${formatPlatform(build.platform)} is built on '${upstream.image}', which has no ${upstream.platform} (only ${platforms.join(', ')})`,
            location: upstream.location,
            help: `add ${upstream.platform} to the platforms of '${upstream.image}', or take it away from '${image.name}'`,
          },
        ];
      }),
    ),
  );
}

function dedupe(diagnostics: Diagnostic[]): Diagnostic[] {
  const seen = new Map(diagnostics.map((diagnostic) => [JSON.stringify(diagnostic), diagnostic]));
  return [...seen.values()];
}
