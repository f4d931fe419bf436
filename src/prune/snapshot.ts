// A repository as it is right now: its tags, and every manifest that hangs together with them. What is pruned is decided on this.
import { type Failure, fail, isAbsent, ok, type Result } from '../failure.ts';
import type { Descriptor, Digest } from '../image/oci.ts';
import { formatReference } from '../image/reference.ts';
import { isIndex, isManifest } from '../image/store.ts';
import { inLanes } from '../lanes.ts';
import type { RegistryClient, Repository } from '../registry/client.ts';
import { manifestTypes } from '../registry/manifest.ts';
import { referrersTag } from '../registry/referrers.ts';
import { readTagName } from './tag-names.ts';

/** What pruning needs of a registry; the client is one. */
export type PruneStore = Pick<
  RegistryClient,
  'getManifest' | 'headManifest' | 'putManifest' | 'deleteManifest' | 'listTags' | 'listReferrers' | 'readBlob'
>;

export interface StoredNode {
  descriptor: Descriptor;
  /** As the registry has them, to put the manifest back with. */
  bytes: Uint8Array;
  /** Entries of an index that are manifests themselves. */
  children: Descriptor[];
  /** Config and layers; entries of an index that are no manifests. */
  blobs: Descriptor[];
  /** The config, of an image manifest. */
  config?: Descriptor;
  annotations: Record<string, string>;
  subject?: Digest;
  referrers: Digest[];
}

export interface Snapshot {
  repository: Repository;
  /** Tags that are asked for also where the registry's list leaves them out. */
  expected: Iterable<string>;
  tags: Map<string, Digest>;
  /** Tags that are listed and point at nothing that can be had, or at something that is no image: they are left alone. */
  strange: Set<string>;
  /** All that is there of what tags, lists and names lead to. */
  manifests: Map<Digest, StoredNode>;
  /** Asked for and not there. */
  absent: Set<Digest>;
  /** Tags by the `sha256-<hex>` that they begin with. */
  attached: Map<string, string[]>;
}

/** Requests at a time. */
export const lanes = 8;

export function emptySnapshot(repository: Repository, expected: Iterable<string> = []): Snapshot {
  const { registry, repository: name } = repository;
  return {
    repository: { registry, repository: name },
    expected,
    tags: new Map(),
    strange: new Set(),
    manifests: new Map(),
    absent: new Set(),
    attached: new Map(),
  };
}

/**
 * Reads all tags anew, and then what they lead to and isn't known yet: a manifest's content can't change, what refers to it
 * is as it was first seen. A repository that isn't there has no tags. `more` are further manifests to look at.
 */
export async function refresh(
  snapshot: Snapshot,
  store: PruneStore,
  more: Iterable<Digest>,
  signal: AbortSignal,
): Promise<Result<void>> {
  const { repository } = snapshot;
  const listed = await store.listTags(repository, signal);
  if (!listed.ok && !isAbsent(listed.failure)) return listed;
  const isListed = new Set(listed.ok ? listed.value : []);
  const tags = [...new Set([...isListed, ...snapshot.expected])];
  const heads = await inLanes(lanes, tags, (tag) => store.headManifest({ ...repository, tag }, signal));
  if (!heads.ok) return heads;
  snapshot.tags.clear();
  snapshot.strange.clear();
  snapshot.attached.clear();
  const wanted = new Set(more);
  for (const [at, tag] of tags.entries()) {
    const descriptor = heads.value[at];
    if (!descriptor && !isListed.has(tag)) continue;
    if (!descriptor || !manifestTypes.includes(descriptor.mediaType)) {
      snapshot.strange.add(tag);
      continue;
    }
    snapshot.tags.set(tag, descriptor.digest);
    wanted.add(descriptor.digest);
    const name = readTagName(tag);
    if (name.kind !== 'attached') continue;
    const stem = tag.split('.')[0] ?? tag;
    snapshot.attached.set(stem, [...(snapshot.attached.get(stem) ?? []), tag]);
    if (name.subject !== undefined) wanted.add(name.subject);
  }
  return load(snapshot, store, wanted, signal);
}

/** Tags that belong to a manifest by their names. */
export function attachedTags(snapshot: Snapshot, digest: Digest): string[] {
  return snapshot.attached.get(referrersTag(digest)) ?? [];
}

async function load(
  snapshot: Snapshot,
  store: PruneStore,
  wanted: Iterable<Digest>,
  signal: AbortSignal,
): Promise<Result<void>> {
  const { manifests, absent, repository } = snapshot;
  let frontier = new Set(wanted);
  while (frontier.size > 0) {
    // What was absent may have been pushed since.
    const unread = [...frontier].filter((digest) => !manifests.has(digest));
    const read = await inLanes(lanes, unread, (digest) => readNode(store, repository, digest, signal));
    if (!read.ok) return read;
    frontier = new Set();
    for (const [at, digest] of unread.entries()) {
      const node = read.value[at];
      if (!node) {
        absent.add(digest);
        continue;
      }
      absent.delete(digest);
      manifests.set(digest, node);
      for (const child of node.children) frontier.add(child.digest);
      for (const referrer of node.referrers) frontier.add(referrer);
      if (node.subject !== undefined) frontier.add(node.subject);
    }
  }
  return ok(undefined);
}

async function readNode(
  store: PruneStore,
  repository: Repository,
  digest: Digest,
  signal: AbortSignal,
): Promise<Result<StoredNode | undefined>> {
  const read = await store.getManifest({ ...repository, digest }, signal);
  if (!read.ok) return isAbsent(read.failure) ? ok(undefined) : fail(unread(read.failure, repository));
  const referrers = await store.listReferrers(repository, digest, signal);
  if (!referrers.ok) return fail(unread(referrers.failure, repository));
  const { descriptor, bytes, content } = read.value;
  const entries = isIndex(read.value) ? read.value.content.manifests : [];
  const image = isManifest(read.value) ? read.value.content : undefined;
  return ok({
    descriptor,
    bytes,
    children: entries.filter(isRead),
    blobs: image ? [image.config, ...image.layers] : entries.filter((entry) => !isRead(entry)),
    ...(image ? { config: image.config } : {}),
    annotations: content.annotations ?? {},
    ...(content.subject ? { subject: content.subject.digest } : {}),
    referrers: referrers.value.filter(isRead).map((entry) => entry.digest),
  });
}

function isRead(entry: Descriptor): boolean {
  return manifestTypes.includes(entry.mediaType);
}

/** What a tag needs isn't known until everything has been read. */
function unread(failure: Failure, repository: Repository): Failure {
  if (failure.kind !== 'registry' && failure.kind !== 'verification') return failure;
  const help = `nothing of ${formatReference(repository)} is deleted as long as a part of it can't be read`;
  return { ...failure, help: failure.help === undefined ? help : `${failure.help}; ${help}` };
}
