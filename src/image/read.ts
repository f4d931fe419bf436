// Reads back what an engine pushed: a single manifest is taken as it is, an index is opened, and its image and attestations kept.
import { type Failure, fail, ok, type Result } from '../failure.ts';
import { childrenOf } from './attestation.ts';
import type { Child } from './join.ts';
import type { Descriptor, Manifest } from './oci.ts';
import { formatPlatform, normalizePlatform, type Platform, samePlatform } from './platform.ts';
import { formatReference, type Reference } from './reference.ts';
import { type ImageStore, isIndex, isManifest, type StoredManifest } from './store.ts';

/** The image of the wanted platform under a reference. Refused: none, several, or a config that says another platform. */
export async function readPlatformImage(
  store: ImageStore,
  reference: Reference,
  wanted: Platform,
  signal: AbortSignal,
): Promise<Result<Child>> {
  const top = await store.getManifest(reference, signal);
  if (!top.ok) return top;
  const where = formatReference(reference);
  if (!isIndex(top.value)) return childOf(store, reference, top.value, [], wanted, signal);
  const candidates: { image: StoredManifest; attestations: Descriptor[] }[] = [];
  const seen: string[] = [];
  for (const { descriptor, attestations } of childrenOf(top.value.content)) {
    const image = await store.getManifest({ ...reference, tag: undefined, digest: descriptor.digest }, signal);
    if (!image.ok) return image;
    if (!isManifest(image.value)) {
      return fail(wrong(`an index within the index: ${descriptor.digest}`, where));
    }
    const platform = await configPlatform(store, reference, image.value.content, signal);
    if (!platform.ok) return platform;
    seen.push(formatPlatform(platform.value));
    if (samePlatform(platform.value, wanted)) candidates.push({ image: image.value, attestations });
  }
  const [only, ...others] = candidates;
  if (!only || others.length > 0) {
    const found = only
      ? `${candidates.length} images of ${formatPlatform(wanted)}`
      : `only ${seen.join(', ') || 'no image'}`;
    return fail(
      wrong(`one image of ${formatPlatform(wanted)} was expected and there ${only ? 'are' : 'is'} ${found}`, where),
    );
  }
  return childOf(store, reference, only.image, only.attestations, wanted, signal);
}

async function childOf(
  store: ImageStore,
  reference: Reference,
  image: StoredManifest,
  attestations: Descriptor[],
  wanted: Platform,
  signal: AbortSignal,
): Promise<Result<Child>> {
  const where = formatReference(reference);
  if (!isManifest(image)) return fail(wrong('an image manifest was expected', where));
  const platform = await configPlatform(store, reference, image.content, signal);
  if (!platform.ok) return platform;
  if (!samePlatform(platform.value, wanted)) {
    return fail({
      kind: 'verification',
      message: `the image built for ${formatPlatform(wanted)} says in its config that it is for ${formatPlatform(platform.value)}`,
      where,
      help: 'an upstream of another platform, or an engine that ignores --platform: look at its FROM lines and the builder',
    });
  }
  const { mediaType, digest, size } = image.descriptor;
  return ok({ descriptor: { mediaType, digest, size, platform: { ...platform.value } }, attestations });
}

/** The platform that an image's own config declares, normalised (image-spec, config.md#properties). */
export async function configPlatform(
  store: Pick<ImageStore, 'readBlob'>,
  repository: Reference,
  manifest: Manifest,
  signal: AbortSignal,
): Promise<Result<Platform>> {
  const bytes = await store.readBlob(repository, manifest.config.digest, signal);
  if (!bytes.ok) return bytes;
  const where = `${formatReference(repository)} config ${manifest.config.digest}`;
  let json: unknown;
  try {
    json = JSON.parse(Buffer.from(bytes.value).toString('utf8'));
  } catch {
    return fail(wrong('the image config is not JSON', where));
  }
  const platform = declared(json);
  return platform
    ? ok(normalizePlatform(platform))
    : fail(wrong('the image config names no os and architecture', where));
}

/** All that is read of a config, and so without a schema, whose library takes longer to load than joining two images. */
function declared(json: unknown): Platform | undefined {
  if (typeof json !== 'object' || json === null || !('os' in json) || !('architecture' in json)) return undefined;
  const { os, architecture } = json;
  const variant = 'variant' in json ? json.variant : undefined;
  if (typeof os !== 'string' || os === '' || typeof architecture !== 'string' || architecture === '') return undefined;
  if (variant === undefined) return { os, architecture };
  return typeof variant === 'string' ? { os, architecture, variant } : undefined;
}

function wrong(message: string, where: string): Failure {
  return { kind: 'verification', message, where };
}
