// Joins images that lie in a registry, of one platform each, under a tag: what a pipeline of `docker build` and `docker push` ends with.
// What each is for is read from its config; nothing is taken from its name.
import { fail, ok, type Result } from '../failure.ts';
import { childrenOf } from './attestation.ts';
import { type Child, composeIndex } from './join.ts';
import type { Descriptor, Digest } from './oci.ts';
import { formatPlatform, normalizePlatform, type Platform, samePlatform } from './platform.ts';
import { configPlatform } from './read.ts';
import { formatReference, type Reference } from './reference.ts';
import { type ImageStore, isIndex, isManifest, type StoredManifest } from './store.ts';

/** Where the images lie, and their index is put. The registry client is one. */
export interface JoinStore extends Pick<ImageStore, 'getManifest' | 'readBlob'> {
  headManifest(reference: Reference, signal: AbortSignal): Promise<Result<Descriptor | undefined>>;
  /** `confirmed`: the answer named the digest of what was put. */
  putManifest(
    reference: Reference,
    bytes: Uint8Array,
    mediaType: string,
    signal: AbortSignal,
  ): Promise<Result<{ confirmed?: boolean }>>;
}

export interface Joined {
  digest: Digest;
  mediaType: string;
  /** In the order of the sources. */
  platforms: { platform: Platform; digest: Digest; attestations: number }[];
}

/** Brings a manifest with all that it needs into the target's repository, where it lies in another. */
export type Bring = (from: Reference, to: Reference, signal: AbortSignal) => Promise<Result<unknown>>;

/**
 * Puts the index of the sources' images under the target's tag. Refused: a source of several platforms, two of one platform, and, where
 * platforms are `wanted`, other ones than those. For two images that lie in the target's repository these are five requests: each image's
 * manifest and config, and the index.
 */
export async function joinImages(
  store: JoinStore,
  { target, sources, wanted }: { target: Reference; sources: Reference[]; wanted: Platform[] },
  bring: Bring,
  signal: AbortSignal,
): Promise<Result<Joined>> {
  const children: Child[] = [];
  for (const child of await Promise.all(sources.map((source) => readChild(store, source, signal)))) {
    if (!child.ok) return child;
    children.push(child.value);
  }
  const refused = mismatch(children, sources, wanted);
  if (refused !== undefined) return wrong(refused, target);
  for (const [at, child] of children.entries()) {
    const source = sources[at];
    if (source === undefined || isBeside(source, target)) continue;
    for (const { digest } of [child.descriptor, ...child.attestations]) {
      const brought = await bring(byDigest(source, digest), byDigest(target, digest), signal);
      if (!brought.ok) return brought;
    }
  }
  const { bytes, mediaType, digest } = composeIndex(children);
  const put = await store.putManifest(target, bytes, mediaType, signal);
  if (!put.ok) return put;
  if (!put.value.confirmed) {
    const there = await store.headManifest(target, signal);
    if (!there.ok) return there;
    if (there.value?.digest !== digest) return wrong(`the tag points at ${there.value?.digest ?? 'nothing'}`, target);
  }
  const platforms = children.map(({ descriptor, attestations }) => ({
    platform: platformOf(descriptor),
    digest: descriptor.digest,
    attestations: attestations.length,
  }));
  return ok({ digest, mediaType, platforms });
}

async function readChild(store: JoinStore, source: Reference, signal: AbortSignal): Promise<Result<Child>> {
  const top = await store.getManifest(source, signal);
  if (!top.ok) return top;
  if (!isIndex(top.value)) return childOf(store, source, top.value, [], signal);
  const children = childrenOf(top.value.content);
  const [only, ...others] = children;
  if (!only || others.length > 0) {
    const names = children.map(({ descriptor }) => formatPlatform(platformOf(descriptor)));
    return wrong(
      only ? `it is an image of several platforms: ${names.join(', ')}` : 'there is no image in its index',
      source,
    );
  }
  const stored = await store.getManifest(byDigest(source, only.descriptor.digest), signal);
  if (!stored.ok) return stored;
  return childOf(store, source, stored.value, only.attestations, signal);
}

async function childOf(
  store: JoinStore,
  source: Reference,
  image: StoredManifest,
  attestations: Descriptor[],
  signal: AbortSignal,
): Promise<Result<Child>> {
  if (!isManifest(image)) return wrong('it is an index within an index', source);
  const platform = await configPlatform(store, source, image.content, signal);
  if (!platform.ok) return platform;
  const { mediaType, digest, size } = image.descriptor;
  return ok({ descriptor: { mediaType, digest, size, platform: { ...platform.value } }, attestations });
}

function mismatch(children: Child[], sources: Reference[], wanted: Platform[]): string | undefined {
  const platforms = children.map(({ descriptor }) => platformOf(descriptor));
  for (const [at, platform] of platforms.entries()) {
    const first = platforms.findIndex((other) => samePlatform(other, platform));
    const [one, other] = [sources[first], sources[at]];
    if (first < at && one && other) {
      return `${formatReference(one)} and ${formatReference(other)} are both for ${formatPlatform(platform)}`;
    }
  }
  const missing = wanted.filter((platform) => !platforms.some((one) => samePlatform(one, platform)));
  if (missing.length > 0) return `no source is for ${missing.map(formatPlatform).join(', ')}`;
  const more = platforms.filter((platform) => !wanted.some((one) => samePlatform(one, platform)));
  return wanted.length > 0 && more.length > 0 ? `${more.map(formatPlatform).join(', ')} was not asked for` : undefined;
}

/** Whether what an index names by digest is there: both are of one repository. */
export function isBeside(source: Reference, target: Reference): boolean {
  return source.registry === target.registry && source.repository === target.repository;
}

function byDigest({ registry, repository }: Reference, digest: Digest): Reference {
  return { registry, repository, digest };
}

function platformOf({ platform }: Descriptor): Platform {
  return normalizePlatform(platform ?? { os: '', architecture: '' });
}

function wrong(message: string, reference: Reference): Result<never> {
  return fail({
    kind: 'verification',
    message,
    where: formatReference(reference),
    help: 'give one image for each platform; `splitbuild inspect` shows what an image is made of',
  });
}
