// When an image was made, as it says itself: what its age is taken from where no run's id tells it.
import { z } from 'zod';
import { isAbsent, ok, type Result } from '../failure.ts';
import { imagesAmong } from '../image/attestation.ts';
import type { Digest } from '../image/oci.ts';
import { inLanes } from '../lanes.ts';
import { lanes, type PruneStore, type Snapshot, type StoredNode } from './snapshot.ts';

const configSchema = z.looseObject({ created: z.string().optional() });
/** image-spec, annotations.md. */
const createdAnnotation = 'org.opencontainers.image.created';

/**
 * Ms since the epoch, by manifest: `created` of its config (image-spec, config.md), or the annotation; of an index, the newest
 * of its images. Absent where none of them says.
 */
export async function readCreated(
  snapshot: Snapshot,
  store: PruneStore,
  wanted: ReadonlySet<Digest>,
  signal: AbortSignal,
): Promise<Result<Map<Digest, number>>> {
  const leaves = new Map<Digest, StoredNode>();
  for (const digest of wanted) for (const [leaf, node] of imagesOf(snapshot, digest)) leaves.set(leaf, node);
  const nodes = [...leaves];
  const read = await inLanes(lanes, nodes, ([, node]) => createdOf(snapshot, store, node, signal));
  if (!read.ok) return read;
  const times = new Map(nodes.map(([digest], at) => [digest, read.value[at]]));
  const created = new Map<Digest, number>();
  for (const digest of wanted) {
    const own = imagesOf(snapshot, digest).flatMap(([leaf]) => times.get(leaf) ?? []);
    if (own.length > 0) created.set(digest, Math.max(...own));
  }
  return ok(created);
}

/** The manifests below one, itself where it is no index; attestations are left out. */
function imagesOf(snapshot: Snapshot, digest: Digest): [Digest, StoredNode][] {
  const node = snapshot.manifests.get(digest);
  if (!node) return [];
  if (node.config) return [[digest, node]];
  return [[digest, node], ...imagesAmong(node.children).flatMap((child) => imagesOf(snapshot, child.digest))];
}

async function createdOf(
  { repository }: Snapshot,
  store: PruneStore,
  node: StoredNode,
  signal: AbortSignal,
): Promise<Result<number | undefined>> {
  const annotated = timeOf(node.annotations[createdAnnotation]);
  if (annotated !== undefined || !node.config || !/config|image/.test(node.config.mediaType)) return ok(annotated);
  const bytes = await store.readBlob(repository, node.config.digest, signal);
  // Without its config the image is broken, and its age unknown.
  if (!bytes.ok) return isAbsent(bytes.failure) ? ok(undefined) : bytes;
  try {
    const config = configSchema.safeParse(JSON.parse(Buffer.from(bytes.value).toString('utf8')));
    return ok(config.success ? timeOf(config.data.created) : undefined);
  } catch {
    return ok(undefined);
  }
}

/** Go's zero time (the year 1) is how tools say that they don't know. */
function timeOf(text: string | undefined): number | undefined {
  const time = text === undefined ? Number.NaN : Date.parse(text);
  return Number.isNaN(time) || time < 0 ? undefined : time;
}
