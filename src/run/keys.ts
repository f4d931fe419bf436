// Keys in the registry: beside each image, a tag that is named after what the image was made of. Whoever would build the same finds it there.
import { isAbsent, ok, type Result } from '../failure.ts';
import { childrenOf } from '../image/attestation.ts';
import type { Child } from '../image/join.ts';
import type { Descriptor, Digest } from '../image/oci.ts';
import { readPlatformImage } from '../image/read.ts';
import { isIndex, type StoredManifest } from '../image/store.ts';
import type { BuildTask, TestTask } from '../plan/plan.ts';
import { keyTag } from './build-key.ts';
import type { RunContext } from './context.ts';

/** The image of one platform, and what lies in the registry for it: its manifest, or an index of it and its attestations. */
export interface StagedImage {
  child: Child;
  top: Pick<Descriptor, 'mediaType' | 'digest' | 'size'>;
}

type World = Pick<RunContext, 'registry' | 'registryAddress' | 'emit' | 'clock'>;
type Place = Pick<BuildTask, 'repository' | 'platform'>;

/**
 * The image of a platform under a tag; what lies there is asked for once. `published`: an image that is known to be there and of the
 * platform; where the tag has the same, its config needs no reading.
 */
export async function readStaged(
  { repository, platform }: Place,
  tag: string,
  { registry, registryAddress }: Pick<World, 'registry' | 'registryAddress'>,
  signal: AbortSignal,
  published?: Child,
): Promise<Result<StagedImage>> {
  const reference = { registry: registryAddress, repository, tag };
  const top = await registry.getManifest(reference, signal);
  if (!top.ok) return top;
  const same = published && alike(top.value, published);
  if (same) return ok({ child: same, top: targetOf(top.value) });
  const store = {
    ...registry,
    getManifest: (asked: typeof reference & { digest?: Digest }, asking: AbortSignal) =>
      asked.digest === undefined ? Promise.resolve(top) : registry.getManifest(asked, asking),
  };
  const child = await readPlatformImage(store, reference, platform, signal);
  if (!child.ok) return child;
  return ok({ child: child.value, top: targetOf(top.value) });
}

function targetOf({ descriptor: { mediaType, digest, size } }: StoredManifest): StagedImage['top'] {
  return { mediaType, digest, size };
}

/** The published image with the attestations that lie here, where it is the only one here. */
function alike(top: StoredManifest, { descriptor }: Child): Child | undefined {
  if (!isIndex(top)) return top.descriptor.digest === descriptor.digest ? { descriptor, attestations: [] } : undefined;
  const [only, ...others] = childrenOf(top.content);
  if (others.length > 0 || only?.descriptor.digest !== descriptor.digest) return undefined;
  return { descriptor, attestations: only.attestations };
}

/**
 * What was built for a key, by whomever. What lies there and is not of the platform, or not whole, is as good as nothing, and is told.
 * `known`: what this machine saw there when it last looked; where the registry has the same still, it needs no second look.
 * `published`: as readStaged has it.
 */
export async function findByKey(
  task: BuildTask,
  key: Digest,
  run: World,
  signal: AbortSignal,
  { known, published }: { known?: StagedImage | undefined; published?: Child | undefined } = {},
): Promise<Result<StagedImage | undefined>> {
  if (known) {
    const reference = { registry: run.registryAddress, repository: task.repository, tag: keyTag(key) };
    const now = await run.registry.headManifest(reference, signal);
    if (!now.ok || now.value?.digest === known.top.digest) return now.ok ? ok(known) : now;
  }
  const found = await readStaged(task, keyTag(key), run, signal, published);
  if (found.ok) return found;
  if (isAbsent(found.failure)) return ok(undefined);
  if (found.failure.kind !== 'verification') return found;
  const message = `what lies under ${task.repository}:${keyTag(key)} is not taken, and is built anew: ${found.failure.message}`;
  run.emit({ type: 'warning', task: task.id, message, time: run.clock.now() });
  return ok(undefined);
}

/** Keeps an image under a tag more. A registry that won't have it (tags that can't be made, or moved) costs the reuse and nothing else. */
export async function keepUnder(
  task: Pick<BuildTask | TestTask, 'id' | 'repository'>,
  tag: string,
  { digest, mediaType }: StagedImage['top'],
  run: World,
  signal: AbortSignal,
): Promise<Result<void>> {
  const repository = { registry: run.registryAddress, repository: task.repository };
  const manifest = await run.registry.getManifest({ ...repository, digest }, signal);
  if (!manifest.ok) return manifest;
  const put = await run.registry.putManifest({ ...repository, tag }, manifest.value.bytes, mediaType, signal);
  if (put.ok) return ok(undefined);
  if (put.failure.kind !== 'registry' || put.failure.transient) return put;
  const message = `the registry does not keep ${task.repository}:${tag} (${put.failure.message}): the next run does this again`;
  run.emit({ type: 'warning', task: task.id, message, time: run.clock.now() });
  return ok(undefined);
}
