// What hangs on what: from tags and manifests to all that they need, and all that belongs to it.
import type { Digest } from '../image/oci.ts';
import { archSuffix } from '../image/platform.ts';
import { recordTag } from '../image/publication.ts';
import { attachedTags, type Snapshot } from './snapshot.ts';
import { readTagName } from './tag-names.ts';

export interface Start {
  tags: Iterable<string>;
  /** With the words for what they are. */
  digests: Iterable<[Digest, string]>;
}

export interface WalkOptions {
  /**
   * Whether all that could be missed is followed as well: a manifest's subject, the arch tags of an index's platforms, what a tag pointed at before. So it is
   * from what is kept; from what may be deleted, only what is useless without it.
   */
  generous: boolean;
  /** `-${arch}`. */
  archTagSuffix: string;
  /** What tags pointed at before, as journals have it. */
  wayBack: ReadonlyMap<string, Digest>;
  /** Tags that aren't followed by their names alone. */
  without: ReadonlySet<string>;
}

/** Each with what it was reached from first: the name of a tag, or the words for a manifest. */
export interface Reached {
  tags: Map<string, string>;
  digests: Map<Digest, string>;
}

export function walk(snapshot: Snapshot, start: Start, options: WalkOptions): Reached {
  const { tags, manifests } = snapshot;
  const reached: Reached = { tags: new Map(), digests: new Map() };
  const queue: [Digest, string][] = [];
  const addDigest = (digest: Digest, from: string): void => {
    if (reached.digests.has(digest) || !manifests.has(digest)) return;
    reached.digests.set(digest, from);
    queue.push([digest, from]);
  };
  const addTag = (tag: string, from: string): void => {
    const digest = tags.get(tag);
    if (digest === undefined || reached.tags.has(tag)) return;
    reached.tags.set(tag, from);
    addDigest(digest, from);
    const record = recordTag(tag);
    // A tag that is called `key-…` doesn't take a build's key along.
    if (options.generous || readTagName(record).kind === 'record') addNamed(record, from);
    if (!options.generous) return;
    const before = options.wayBack.get(tag);
    if (before !== undefined) addDigest(before, from);
    for (const { platform } of manifests.get(digest)?.children ?? []) {
      if (!platform) continue;
      addNamed(tag + options.archTagSuffix.replaceAll('${arch}', archSuffix(platform)), from);
    }
  };
  const addNamed = (tag: string, from: string): void => {
    if (!options.without.has(tag)) addTag(tag, from);
  };
  for (const tag of start.tags) addTag(tag, tag);
  for (const [digest, words] of start.digests) addDigest(digest, words);
  for (let next = queue.pop(); next; next = queue.pop()) {
    const [digest, from] = next;
    const node = manifests.get(digest);
    for (const child of node?.children ?? []) addDigest(child.digest, from);
    for (const referrer of node?.referrers ?? []) addDigest(referrer, from);
    for (const tag of attachedTags(snapshot, digest)) addNamed(tag, from);
    if (options.generous && node?.subject !== undefined) addDigest(node.subject, from);
  }
  return reached;
}

/** Of these manifests, each before what it lists and before what it refers to: never is one left whose parts are gone. */
export function fromTheTop(snapshot: Snapshot, digests: ReadonlySet<Digest>): Digest[] {
  const order: Digest[] = [];
  const seen = new Set<Digest>();
  const visit = (digest: Digest): void => {
    if (seen.has(digest) || !digests.has(digest)) return;
    seen.add(digest);
    const node = snapshot.manifests.get(digest);
    for (const child of node?.children ?? []) visit(child.digest);
    if (node?.subject !== undefined) visit(node.subject);
    order.push(digest);
  };
  for (const digest of digests) visit(digest);
  return order.reverse();
}
