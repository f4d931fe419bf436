// Reads what an export is made of: for docker-archive the image of one platform, for oci-archive an image with all that belongs to it.
import { z } from 'zod';
import type { ImageSource } from '../copy/store.ts';
import { fail, ok, type Result } from '../failure.ts';
import { imagesAmong } from '../image/attestation.ts';
import { type Child, composeIndex } from '../image/join.ts';
import { type Descriptor, type Digest, digestSchema, type Manifest } from '../image/oci.ts';
import { formatPlatform, type Platform, samePlatform } from '../image/platform.ts';
import { readPlatformImage } from '../image/read.ts';
import { formatReference, type Reference } from '../image/reference.ts';
import { isIndex, isManifest, type StoredManifest } from '../image/store.ts';

/** What is to be exported, and what it is called in the archive. */
export interface Wanted {
  reference: Reference;
  /** All of an index where none is named. */
  platforms: Platform[];
  /** `hysds/base:develop`, as engines show it. */
  names: string[];
}

export interface PlatformImage {
  reference: Reference;
  names: string[];
  config: { digest: Digest; bytes: Uint8Array };
  layers: { descriptor: Descriptor; diffId: Digest }[];
}

const rootfsSchema = z.looseObject({ rootfs: z.looseObject({ diff_ids: z.array(digestSchema) }) });

/** The image of one platform, with the digests of its layers' content. */
export async function readForDocker(
  store: ImageSource,
  { reference, platforms, names }: Wanted,
  signal: AbortSignal,
): Promise<Result<PlatformImage>> {
  const found = await onePlatform(store, reference, platforms, signal);
  if (!found.ok) return found;
  const { config, layers } = found.value;
  const bytes = await store.readBlob(reference, config.digest, signal);
  if (!bytes.ok) return bytes;
  const where = formatReference(reference);
  const read = rootfsSchema.safeParse(parseJson(bytes.value));
  const diffIds = read.success ? read.data.rootfs.diff_ids : [];
  if (!read.success || diffIds.length !== layers.length) {
    const message = `its config names ${diffIds.length} layers and its manifest ${layers.length}: no image that an engine could load`;
    return fail({ kind: 'verification', message, where });
  }
  return ok({
    reference,
    names,
    config: { digest: config.digest, bytes: bytes.value },
    layers: layers.map((descriptor, place) => ({ descriptor, diffId: diffIds[place] ?? '' })),
  });
}

async function onePlatform(
  store: ImageSource,
  reference: Reference,
  platforms: Platform[],
  signal: AbortSignal,
): Promise<Result<Manifest>> {
  const where = formatReference(reference);
  const [wanted, ...more] = platforms;
  if (more.length > 0) return fail(manyPlatforms(where, platforms.map(formatPlatform)));
  const top = await store.getManifest(reference, signal);
  if (!top.ok) return top;
  let digest = top.value.descriptor.digest;
  if (wanted) {
    // Read by digest: the tag may move meanwhile.
    const child = await readPlatformImage(store, { ...reference, tag: undefined, digest }, wanted, signal);
    if (!child.ok) return child;
    digest = child.value.descriptor.digest;
  } else if (isIndex(top.value)) {
    const images = imagesAmong(top.value.content.manifests);
    const [only] = images;
    if (!only || images.length > 1) {
      const all = images.flatMap(({ platform }) => (platform ? formatPlatform(platform) : []));
      return fail(manyPlatforms(where, all));
    }
    digest = only.digest;
  }
  const stored =
    digest === top.value.descriptor.digest
      ? top
      : await store.getManifest({ ...reference, tag: undefined, digest }, signal);
  if (!stored.ok) return stored;
  if (isManifest(stored.value)) return ok(stored.value.content);
  return fail({ kind: 'verification', message: `${digest} is an index within the index, not an image`, where });
}

function manyPlatforms(where: string, all: string[]) {
  return {
    kind: 'usage' as const,
    message: `a docker-archive holds an image for one platform, and here are ${all.join(', ') || 'none'}`,
    where,
    help: 'name one with --platform, or take all with --format oci-archive',
  };
}

export interface WholeImage {
  /** What the archive's index.json points at. */
  top: { descriptor: Descriptor; bytes: Uint8Array };
  /** All manifests but `top`, in their order. */
  manifests: { digest: Digest; bytes: Uint8Array }[];
  blobs: Descriptor[];
  reference: Reference;
  names: string[];
}

/**
 * An image as it is, with attestations. Of an index, fewer platforms than it has make a new one of them; a single platform is given as
 * the image itself, without attestations, which only an index can hold.
 */
export async function readForOci(
  store: ImageSource,
  { reference, platforms, names }: Wanted,
  signal: AbortSignal,
): Promise<Result<WholeImage>> {
  const top = await store.getManifest(reference, signal);
  if (!top.ok) return top;
  const at = { registry: reference.registry, repository: reference.repository };
  let chosen: StoredManifest = top.value;
  if (platforms.length > 0) {
    const children: Child[] = [];
    for (const platform of platforms) {
      const child = await readPlatformImage(store, { ...at, digest: top.value.descriptor.digest }, platform, signal);
      if (!child.ok) return child;
      children.push(child.value);
    }
    const [only] = children;
    if (isIndex(top.value) && !isAllOf(top.value.content.manifests, platforms)) {
      if (only && children.length === 1) {
        const image = await store.getManifest({ ...at, digest: only.descriptor.digest }, signal);
        if (!image.ok) return image;
        chosen = image.value;
      } else {
        const { bytes, mediaType, digest, size } = composeIndex(children);
        const manifests = children.flatMap(({ descriptor, attestations }) => [descriptor, ...attestations]);
        chosen = {
          descriptor: { mediaType, digest, size },
          bytes,
          content: { schemaVersion: 2, mediaType, manifests },
        };
      }
    }
  }
  const manifests = new Map<Digest, Uint8Array>();
  const blobs = new Map<Digest, Descriptor>();
  const below = await collect(store, at, chosen, manifests, blobs, signal);
  if (!below.ok) return below;
  return ok({
    top: { descriptor: chosen.descriptor, bytes: chosen.bytes },
    manifests: [...manifests].map(([digest, bytes]) => ({ digest, bytes })),
    blobs: [...blobs.values()],
    reference,
    names,
  });
}

function isAllOf(entries: Descriptor[], platforms: Platform[]): boolean {
  return imagesAmong(entries).every(({ platform }) => platform && platforms.some((one) => samePlatform(one, platform)));
}

async function collect(
  store: ImageSource,
  at: Reference,
  stored: StoredManifest,
  manifests: Map<Digest, Uint8Array>,
  blobs: Map<Digest, Descriptor>,
  signal: AbortSignal,
): Promise<Result<void>> {
  if (isManifest(stored)) {
    for (const blob of [stored.content.config, ...stored.content.layers]) blobs.set(blob.digest, blob);
  }
  if (!isIndex(stored)) return ok(undefined);
  const children = stored.content.manifests.filter(({ digest }) => !manifests.has(digest));
  const read = await Promise.all(children.map(({ digest }) => store.getManifest({ ...at, digest }, signal)));
  for (const child of read) {
    if (!child.ok) return child;
    manifests.set(child.value.descriptor.digest, child.value.bytes);
    const below = await collect(store, at, child.value, manifests, blobs, signal);
    if (!below.ok) return below;
  }
  return ok(undefined);
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch {
    return undefined;
  }
}
