// Compares the platforms of one multi-platform image with each other, or one release of an image with another, platform by platform.
import { fail, ok, type Result } from '../../failure.ts';
import type { Digest, Manifest } from '../oci.ts';
import { isPackageDatabase, readPackages } from '../packages/databases.ts';
import { formatPlatform, type Platform, samePlatform } from '../platform.ts';
import { formatReference, type Reference } from '../reference.ts';
import { isManifest, type LayerStore } from '../store.ts';
import { type InspectedImage, inspectImage, type PlatformImage } from '../verify.ts';
import { compareConfig } from './compare-config.ts';
import { compareFiles, type FileComparison } from './compare-files.ts';
import { comparePackages } from './compare-packages.ts';
import { readConfigFacts } from './config-facts.ts';
import { type Difference, differ, type Kind, type Side } from './difference.ts';
import { readFileSystem } from './file-system.ts';

/** An image in the place where it lies. */
export interface Located {
  store: LayerStore;
  reference: Reference;
}

export interface Comparison {
  kind: Kind;
  /** Of releases. */
  platform?: string;
  columns: { name: string; digest: Digest; size: number; packages: number; databases: string[] }[];
  /** Those that matter first; files that differ are among them. */
  differences: Difference[];
  files: Omit<FileComparison, 'differences'>;
}

export interface ParityReport {
  /** Whether nothing differs that matters. */
  alike: boolean;
  comparisons: Comparison[];
  /** Platforms that only one of two releases has. */
  platforms: Difference[];
}

/**
 * From how many times the size (compressed) a difference matters. Packages of Debian 12 are 0.76 to 1.09 times as large on i386, arm64,
 * armhf and s390x as on amd64 (base system, gcc, Python, OpenJDK, Node, PostgreSQL): up to 1.4 between any two. Twice is another content.
 */
export const sizeFactor = 2;

/** The platforms of an image with each other; those asked for, all where none is. Two are needed. */
export async function comparePlatforms(
  image: Located,
  asked: Platform[],
  signal: AbortSignal,
): Promise<Result<ParityReport>> {
  const seen = await inspectImage(image.store, image.reference, signal);
  if (!seen.ok) return seen;
  const chosen = choose(seen.value, asked);
  if (chosen.length < 2) {
    return fail({
      kind: 'verification',
      message: `there is nothing to compare: of the platforms asked for, the image has ${chosen.map(({ platform }) => formatPlatform(platform)).join() || 'none'}`,
      where: formatReference(image.reference),
      help: 'compare it with another release of it (--against), or name platforms that it has',
    });
  }
  const sides: Side[] = [];
  // One after the other: a platform's package database is let go of before the next is read.
  for (const one of chosen) {
    const side = await readSide(image, one, formatPlatform(one.platform), signal);
    if (!side.ok) return side;
    sides.push(side.value);
  }
  return ok(reportOf([compareSides(sides, 'platforms')], []));
}

/** Each platform of a release with the same platform of the one before. A platform that is gone matters, a new one does not. */
export async function compareReleases(
  now: Located,
  before: Located,
  asked: Platform[],
  signal: AbortSignal,
): Promise<Result<ParityReport>> {
  const seenNow = await inspectImage(now.store, now.reference, signal);
  if (!seenNow.ok) return seenNow;
  const seenBefore = await inspectImage(before.store, before.reference, signal);
  if (!seenBefore.ok) return seenBefore;
  const current = choose(seenNow.value, asked);
  const earlier = choose(seenBefore.value, asked);
  const platforms: Difference[] = [];
  const comparisons: Comparison[] = [];
  for (const one of earlier) {
    if (!current.some((other) => samePlatform(other.platform, one.platform))) {
      platforms.push(platformDifference(one, ['there', undefined]));
    }
  }
  for (const one of current) {
    const old = earlier.find((other) => samePlatform(other.platform, one.platform));
    if (old === undefined) {
      platforms.push(platformDifference(one, [undefined, 'there']));
      continue;
    }
    const left = await readSide(before, old, 'before', signal);
    if (!left.ok) return left;
    const right = await readSide(now, one, 'now', signal);
    if (!right.ok) return right;
    comparisons.push({
      ...compareSides([left.value, right.value], 'releases'),
      platform: formatPlatform(one.platform),
    });
  }
  return ok(reportOf(comparisons, platforms));
}

function choose(image: InspectedImage, asked: Platform[]): PlatformImage[] {
  if (asked.length === 0) return image.platforms;
  return image.platforms.filter(({ platform }) => asked.some((one) => samePlatform(one, platform)));
}

function platformDifference({ platform }: PlatformImage, values: Difference['values']): Difference {
  return { area: 'platform', name: formatPlatform(platform), matters: values[1] === undefined, values };
}

async function readSide(
  { store, reference }: Located,
  { platform, digest, size }: PlatformImage,
  column: string,
  signal: AbortSignal,
): Promise<Result<Side>> {
  const own = { ...reference, tag: undefined, digest };
  const stored = await store.getManifest(own, signal);
  if (!stored.ok) return stored;
  if (!isManifest(stored.value)) {
    return fail({ kind: 'verification', message: 'an image manifest was expected', where: formatReference(own) });
  }
  const manifest: Manifest = stored.value.content;
  const config = await readConfigFacts(store, reference, manifest, signal);
  if (!config.ok) return config;
  const system = await readFileSystem(store, reference, manifest, isPackageDatabase, signal);
  if (!system.ok) return system;
  const packages = await readPackages(system.value.contents);
  if (!packages.ok) {
    const { failure } = packages;
    if (!('message' in failure)) return packages;
    return fail({ ...failure, where: `${formatReference(own)}${failure.where ? ` ${failure.where}` : ''}` });
  }
  return ok({ column, platform, digest, size, config: config.value, files: system.value.files, ...packages.value });
}

function compareSides(sides: Side[], kind: Kind): Comparison {
  const { differences: inFiles, ...files } = compareFiles(sides, kind);
  const all = [...comparePackages(sides, kind), ...compareConfig(sides, kind), ...inFiles, ...compareSizes(sides)];
  return {
    kind,
    columns: sides.map(({ column, digest, size, packages, databases }) => ({
      name: column,
      digest,
      size,
      packages: packages.length,
      databases,
    })),
    differences: [...all.filter(({ matters }) => matters), ...all.filter(({ matters }) => !matters)],
    files,
  };
}

function compareSizes(sides: Side[]): Difference[] {
  const sizes = sides.map(({ size }) => size);
  if (!differ(sizes.map(String))) return [];
  const ratio = Math.max(...sizes) / Math.max(1, Math.min(...sizes));
  const matters = ratio > sizeFactor;
  const reason = `${ratio.toFixed(2)} times${matters ? `: beyond ${sizeFactor}, which no architecture explains` : ''}`;
  return [
    { area: 'size', name: 'compressed', matters, values: sizes.map((size) => `${(size / 1e6).toFixed(1)} MB`), reason },
  ];
}

function reportOf(comparisons: Comparison[], platforms: Difference[]): ParityReport {
  const all = [...platforms, ...comparisons.flatMap(({ differences }) => differences)];
  return { alike: !all.some(({ matters }) => matters), comparisons, platforms };
}
