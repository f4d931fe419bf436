// What is deleted: what may go, without all that something kept needs. Pure, so that what is shown is what is done.
import type { Digest } from '../image/oci.ts';
import { type Candidates, findCandidates, type Known, type Rules } from './candidates.ts';
import type { Snapshot } from './snapshot.ts';
import { matchesTag, readTagName } from './tag-names.ts';
import { fromTheTop, type Reached, walk } from './walk.ts';

/** What a registry can delete. */
export interface Capability {
  /** A tag alone (distribution-spec 1.1). */
  tags: boolean;
  /** A manifest, with all the tags that point at it. */
  digests: boolean;
}

export interface Item {
  /** A tag; a manifest where there is none. */
  tag?: string;
  digest: Digest;
  why: string;
  /** Ms since the epoch. */
  time?: number;
  /** What nothing else needs: manifest, config and layers, each counted once. */
  bytes: number;
  /** `along`: a tag that goes with its manifest, as the registry can't delete it alone. */
  action: 'delete' | 'along' | 'keep';
  /** Why it stays. */
  because?: string;
}

export interface Decision {
  /** In the order of deletion. */
  items: Item[];
  /** Tags that were asked for and stay, with the reason. */
  spared: Map<string, string>;
  /** Tags that stay. */
  kept: number;
}

/**
 * Nothing that a kept tag reaches is among what is deleted: index children, attestations, referrers, signatures, records. A tag
 * that can't be deleted without harm is kept, with all that it reaches.
 */
export function decide(
  snapshot: Snapshot,
  rules: Rules,
  known: Known,
  created: ReadonlyMap<Digest, number>,
  capability: Capability,
): Decision {
  const candidates = findCandidates(snapshot, rules, known, created);
  const stuck = new Map<string, string>();
  for (;;) {
    const { may, kept } = separate(snapshot, rules, known, candidates, stuck);
    const goes = (digest: Digest): boolean => may.digests.has(digest) && !kept.digests.has(digest);
    const tags = [...may.tags.keys()].filter((tag) => !kept.tags.has(tag));
    const newlyStuck = capability.tags
      ? []
      : tags.flatMap((tag) => {
          const need = kept.digests.get(snapshot.tags.get(tag) ?? '');
          return need === undefined ? [] : [{ tag, need }];
        });
    if (newlyStuck.length === 0 || !capability.digests) {
      const items = itemsOf(snapshot, candidates, may, tags, goes, capability);
      return {
        items: [...items, ...stuckItems(snapshot, candidates, stuck)],
        spared: new Map([...candidates.spared, ...needed(candidates, kept, stuck)]),
        kept: snapshot.tags.size + snapshot.strange.size - tags.length,
      };
    }
    for (const { tag, need } of newlyStuck) {
      stuck.set(tag, `the registry can’t delete a tag without its manifest, which ${need} needs`);
    }
  }
}

/** `may`: what could go, with all that is useless without it. `kept`: what stays; where something is in both, it stays. */
function separate(
  snapshot: Snapshot,
  rules: Rules,
  known: Known,
  candidates: Candidates,
  stuck: ReadonlyMap<string, string>,
): { may: Reached; kept: Reached } {
  const shared = { archTagSuffix: rules.archTagSuffix, wayBack: known.wayBack };
  const without = namedExactly(candidates, rules);
  const free = [...candidates.tags.keys()].filter((tag) => !stuck.has(tag));
  const untagged = [...candidates.digests].map(([digest]): [Digest, string] => [digest, digest]);
  const may = walk(
    snapshot,
    { tags: free, digests: untagged },
    { ...shared, generous: false, without: new Set(stuck.keys()) },
  );
  const isKept = (tag: string): boolean => !may.tags.has(tag) || rules.keep.some((pattern) => matchesTag(tag, pattern));
  const others = [...snapshot.manifests.keys()].filter((digest) => !may.digests.has(digest));
  const kept = walk(
    snapshot,
    {
      tags: [...snapshot.tags.keys()].filter(isKept),
      digests: [...known.pinnedDigests, ...others.map((digest): [Digest, string] => [digest, digest])],
    },
    { ...shared, generous: true, without },
  );
  return { may, kept };
}

/** Candidates that the user named in full: that they belong to a kept tag by their name doesn't hold them. */
export function namedExactly(candidates: Pick<Candidates, 'tags'>, rules: Rules): Set<string> {
  return new Set(rules.tags.filter((tag) => candidates.tags.has(tag)));
}

function itemsOf(
  snapshot: Snapshot,
  candidates: Candidates,
  may: Reached,
  tags: string[],
  goes: (digest: Digest) => boolean,
  capability: Capability,
): Item[] {
  const { manifests } = snapshot;
  const condemned = fromTheTop(snapshot, new Set([...manifests.keys()].filter(goes)));
  const counted = new Set<Digest>();
  for (const [digest, node] of manifests) {
    if (!goes(digest)) for (const blob of node.blobs) counted.add(blob.digest);
  }
  const bytesOf = (digest: Digest): number => {
    const node = manifests.get(digest);
    let bytes = node?.descriptor.size ?? 0;
    for (const blob of node?.blobs ?? []) {
      if (!counted.has(blob.digest)) bytes += blob.size;
      counted.add(blob.digest);
    }
    return bytes;
  };
  const tagItem = (tag: string): Item => ({
    tag,
    digest: snapshot.tags.get(tag) ?? '',
    ...(candidates.tags.get(tag) ?? { why: `belongs to ${may.tags.get(tag) ?? ''}` }),
    bytes: 0,
    ...(capability.tags ? { action: 'delete' } : refusedTag(capability)),
  });
  const manifestItem = (digest: Digest): Item => ({
    digest,
    ...(candidates.digests.get(digest) ?? { why: `of ${may.digests.get(digest) ?? ''}` }),
    bytes: bytesOf(digest),
    ...(capability.digests
      ? { action: 'delete' }
      : {
          action: 'keep',
          because: capability.tags
            ? 'the registry takes no deletion by digest: its own clean-up may take it'
            : 'the registry takes no deletions',
        }),
  });
  if (capability.tags) return [...inOrder(tags).map(tagItem), ...condemned.map(manifestItem)];
  const rest = new Set(tags);
  const items = condemned.flatMap((digest) => {
    const own = tags.filter((tag) => snapshot.tags.get(tag) === digest);
    for (const tag of own) rest.delete(tag);
    return [...own.map(tagItem), manifestItem(digest)];
  });
  return [...items, ...[...rest].map(tagItem)];
}

function refusedTag(capability: Capability): Pick<Item, 'action' | 'because'> {
  return capability.digests ? { action: 'along' } : { action: 'keep', because: 'the registry takes no deletions' };
}

/** What is known only by a tag goes before that tag: if deleting is broken off, the next time still finds it. */
function inOrder(tags: string[]): string[] {
  const rank = (tag: string): number => ['attached', 'record'].indexOf(readTagName(tag).kind);
  return tags.toSorted((a, b) => (rank(a) < 0 ? 2 : rank(a)) - (rank(b) < 0 ? 2 : rank(b)) || (a < b ? -1 : 1));
}

function stuckItems(snapshot: Snapshot, candidates: Candidates, stuck: Map<string, string>): Item[] {
  return [...stuck].map(([tag, because]) => ({
    tag,
    digest: snapshot.tags.get(tag) ?? '',
    ...(candidates.tags.get(tag) ?? { why: 'belongs to what may go' }),
    bytes: 0,
    action: 'keep',
    because,
  }));
}

function needed(candidates: Candidates, kept: Reached, stuck: Map<string, string>): [string, string][] {
  return [...candidates.tags.keys()].flatMap((tag): [string, string][] => {
    const from = kept.tags.get(tag);
    return from === undefined || stuck.has(tag) ? [] : [[tag, `belongs to ${from}`]];
  });
}
