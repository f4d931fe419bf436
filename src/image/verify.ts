// Looks at a published image with nothing taken on trust: platforms, configs, and every blob that it needs.
import { fail, ok, type Result } from '../failure.ts';
import { attestedDigest, imagesAmong } from './attestation.ts';
import type { Descriptor, Digest, Manifest } from './oci.ts';
import { formatPlatform, normalizePlatform, type Platform, samePlatform } from './platform.ts';
import { configPlatform } from './read.ts';
import { formatReference, type Reference } from './reference.ts';
import { type ImageStore, isIndex, isManifest, type StoredManifest } from './store.ts';

export interface PlatformImage {
  platform: Platform;
  digest: Digest;
  /** Bytes of config and layers, compressed. */
  size: number;
  layers: { digest: Digest; mediaType: string; size: number }[];
  attestations: Digest[];
}

export interface InspectedImage {
  digest: Digest;
  mediaType: string;
  platforms: PlatformImage[];
}

interface Member {
  /** The entry of the index; the manifest's own descriptor where there is no index. */
  entry: Descriptor;
  stored: StoredManifest & { content: Manifest };
  /** What the config says. */
  platform: Platform;
}

/** What an image is made of, platform by platform; a single manifest is one platform. */
export async function inspectImage(
  store: ImageStore,
  reference: Reference,
  signal: AbortSignal,
): Promise<Result<InspectedImage>> {
  const read = await readImage(store, reference, signal);
  return read.ok ? ok(describe(read.value.top, read.value.members)) : read;
}

/**
 * Every platform asked for is there exactly once; each config agrees with the index's entry on architecture and variant; every config,
 * layer and attestation exists. All that is wrong is told at once.
 */
export async function verifyIndex(
  store: ImageStore,
  reference: Reference,
  platforms: Platform[],
  signal: AbortSignal,
): Promise<Result<InspectedImage>> {
  const read = await readImage(store, reference, signal);
  if (!read.ok) return read;
  const { top, members } = read.value;
  const problems: string[] = [];
  for (const wanted of platforms) {
    const count = members.filter((member) => samePlatform(member.platform, wanted)).length;
    if (count === 0) problems.push(`${formatPlatform(wanted)} is missing`);
    if (count > 1) problems.push(`${formatPlatform(wanted)} is there ${count} times`);
  }
  for (const { entry, platform } of members) {
    if (entry.platform && !samePlatform(normalizePlatform(entry.platform), platform)) {
      problems.push(
        `${entry.digest} is listed as ${formatPlatform(entry.platform)}, but its config says ${formatPlatform(platform)}`,
      );
    }
  }
  const attestations = isIndex(top) ? top.content.manifests.filter((entry) => attestedDigest(entry) !== undefined) : [];
  const blobs = new Map<Digest, string>();
  for (const { stored, platform } of members) collectBlobs(stored.content, formatPlatform(platform), blobs);
  for (const entry of attestations) {
    const attested = attestedDigest(entry);
    if (!members.some(({ stored }) => stored.descriptor.digest === attested)) {
      problems.push(`attestation ${entry.digest} is of ${attested || 'nothing'}, which is not in the index`);
    }
    const stored = await store.getManifest({ ...reference, tag: undefined, digest: entry.digest }, signal);
    if (!stored.ok) return stored;
    if (isManifest(stored.value)) collectBlobs(stored.value.content, `attestation ${entry.digest}`, blobs);
  }
  const checked = await Promise.all(
    [...blobs].map(async ([digest, of]) => ({ digest, of, there: await store.hasBlob(reference, digest, signal) })),
  );
  for (const { digest, of, there } of checked) {
    if (!there.ok) return there;
    if (!there.value) problems.push(`${of}: blob ${digest} is missing`);
  }
  if (problems.length > 0) {
    return fail({
      kind: 'verification',
      message: `the image is not whole: ${problems.join('; ')}`,
      where: formatReference(reference),
      help: 'build and publish it again; what is missing or wrong is not repaired in place',
    });
  }
  return ok(describe(top, members));
}

function describe(top: StoredManifest, members: Member[]): InspectedImage {
  const { digest, mediaType } = top.descriptor;
  const entries = isIndex(top) ? top.content.manifests : [];
  return {
    digest,
    mediaType,
    platforms: members.map(({ stored, platform }) => ({
      platform,
      digest: stored.descriptor.digest,
      size: [stored.content.config, ...stored.content.layers].reduce((sum, { size }) => sum + size, 0),
      layers: stored.content.layers.map((layer) => ({
        digest: layer.digest,
        mediaType: layer.mediaType,
        size: layer.size,
      })),
      attestations: entries
        .filter((entry) => attestedDigest(entry) === stored.descriptor.digest)
        .map((entry) => entry.digest),
    })),
  };
}

/** Layers with `urls` may lie elsewhere (image-spec, layer.md#non-distributable-layers). */
function collectBlobs(manifest: Manifest, of: string, blobs: Map<Digest, string>): void {
  for (const descriptor of [manifest.config, ...manifest.layers]) {
    if (!('urls' in descriptor)) blobs.set(descriptor.digest, of);
  }
}

async function readImage(
  store: ImageStore,
  reference: Reference,
  signal: AbortSignal,
): Promise<Result<{ top: StoredManifest; members: Member[] }>> {
  const top = await store.getManifest(reference, signal);
  if (!top.ok) return top;
  const members = await readMembers(store, reference, top.value, signal);
  return members.ok ? ok({ top: top.value, members: members.value }) : members;
}

async function readMembers(
  store: ImageStore,
  reference: Reference,
  top: StoredManifest,
  signal: AbortSignal,
): Promise<Result<Member[]>> {
  const entries = isIndex(top) ? imagesAmong(top.content.manifests) : [top.descriptor];
  const members = await Promise.all(
    entries.map(async (entry): Promise<Result<Member>> => {
      const stored = isIndex(top)
        ? await store.getManifest({ ...reference, tag: undefined, digest: entry.digest }, signal)
        : ok(top);
      if (!stored.ok) return stored;
      if (!isManifest(stored.value)) {
        return fail({
          kind: 'verification',
          message: `${entry.digest} in the index is not an image`,
          where: formatReference(reference),
        });
      }
      const platform = await configPlatform(store, reference, stored.value.content, signal);
      return platform.ok ? ok({ entry, stored: stored.value, platform: platform.value }) : platform;
    }),
  );
  const found: Member[] = [];
  for (const member of members) {
    if (!member.ok) return member;
    found.push(member.value);
  }
  return ok(found);
}
