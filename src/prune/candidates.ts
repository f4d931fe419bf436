// Which tags and manifests may go, by their names and ages alone. What else needs them is not asked here: decide.ts does.
import type { Digest } from '../image/oci.ts';
import type { Snapshot } from './snapshot.ts';
import { isExact, matchesTag, readTagName, startOfRun } from './tag-names.ts';

export interface Rules {
  /** Ms since the epoch. */
  now: number;
  /** Ms; what is younger stays. */
  olderThan: number;
  /** Ms; build keys stay where it is absent. */
  keysOlderThan?: number;
  /** Tags that may go besides those of runs: names, or globs with `*` and `?`. */
  tags: string[];
  /** Tags that stay. */
  keep: string[];
  /** So many of the newest tags that `tags` names, and of the newest runs, stay. */
  keepLast: number;
  /** Names and globs of the config's tags: only their very name in `tags` makes them candidates. */
  ofConfig: string[];
  /** `-${arch}`. */
  archTagSuffix: string;
}

/** What is known of the repository from elsewhere. */
export interface Known {
  /** Manifests that may have no tag, with the ms since the epoch when they were pushed, where that is known. */
  listed: Map<Digest, number | undefined>;
  /** What stays, with the reason. */
  pinnedTags: Map<string, string>;
  pinnedDigests: Map<Digest, string>;
  /** What a tag pointed at before: it stays as long as the tag does. */
  wayBack: Map<string, Digest>;
}

export interface Cause {
  why: string;
  /** Ms since the epoch: of the run, or when the image was made. */
  time?: number;
}

export interface Candidates {
  tags: Map<string, Cause>;
  digests: Map<Digest, Cause>;
  /** Tags that were asked for and stay, with the reason. */
  spared: Map<string, string>;
}

/** Manifests whose age decides. */
export function agesNeeded(snapshot: Snapshot, rules: Rules, known: Known): Set<Digest> {
  const needed = new Set<Digest>();
  const tagged = new Set(snapshot.tags.values());
  for (const [tag, digest] of snapshot.tags) {
    const { kind } = readTagName(tag);
    const asked = rules.tags.some((pattern) => matchesTag(tag, pattern));
    if ((asked && kind !== 'staged') || (kind === 'key' && rules.keysOlderThan !== undefined)) needed.add(digest);
  }
  for (const digest of known.listed.keys()) if (!tagged.has(digest)) needed.add(digest);
  return needed;
}

export function findCandidates(
  snapshot: Snapshot,
  rules: Rules,
  known: Known,
  created: ReadonlyMap<Digest, number>,
): Candidates {
  const found: Candidates = { tags: new Map(), digests: new Map(), spared: new Map() };
  const runs = newestFirst(snapshot);
  const lastRuns = new Set(runs.slice(0, Math.max(1, rules.keepLast)));
  const asked: { tag: string; cause: Cause }[] = [];
  for (const [tag, digest] of snapshot.tags) {
    if (rules.keep.some((pattern) => matchesTag(tag, pattern))) continue;
    const candidate = causeOf(tag, digest, snapshot, rules, created);
    if (!candidate) continue;
    const { cause, limit, named } = candidate;
    const pinned = known.pinnedTags.get(tag);
    const name = readTagName(tag);
    if (pinned !== undefined) found.spared.set(tag, pinned);
    else if (!named && name.kind === 'staged' && lastRuns.has(name.run)) continue;
    else if (!named && name.kind === 'plain' && rules.ofConfig.some((pattern) => matchesTag(tag, pattern))) {
      found.spared.set(tag, 'a tag of the config: only its very name, without * and ?, gives it away');
    } else if (cause.time === undefined && limit > 0) found.spared.set(tag, 'its age isn’t known');
    else if (rules.now - (cause.time ?? 0) < limit) found.spared.set(tag, 'not old enough');
    else if (name.kind === 'plain') asked.push({ tag, cause });
    else found.tags.set(tag, cause);
  }
  asked.sort((a, b) => (b.cause.time ?? 0) - (a.cause.time ?? 0) || (a.tag < b.tag ? -1 : 1));
  for (const [at, { tag, cause }] of asked.entries()) {
    if (at < rules.keepLast) found.spared.set(tag, `one of the last ${rules.keepLast}`);
    else found.tags.set(tag, cause);
  }
  spareKeysOfPublished(snapshot, rules, found);
  addGone(snapshot, rules, known, found);
  addUntagged(snapshot, rules, known, created, found);
  return found;
}

/**
 * Keys of what a tag that stays has, however old: a machine that has noted such a build takes it by its tag and would not write the key
 * again, and every other would build it again.
 */
function spareKeysOfPublished(snapshot: Snapshot, rules: Rules, found: Candidates): void {
  const published = new Map<Digest, string>();
  const add = (digest: Digest, tag: string): void => {
    if (published.has(digest)) return;
    published.set(digest, tag);
    for (const child of snapshot.manifests.get(digest)?.children ?? []) add(child.digest, tag);
  };
  for (const [tag, digest] of snapshot.tags) {
    if (readTagName(tag).kind === 'plain' && !found.tags.has(tag)) add(digest, tag);
  }
  for (const tag of found.tags.keys()) {
    const digest = snapshot.tags.get(tag);
    if (readTagName(tag).kind !== 'key' || digest === undefined || rules.tags.includes(tag)) continue;
    // With attestations, an index of its own lies under the key.
    const images = [digest, ...(snapshot.manifests.get(digest)?.children ?? []).map((child) => child.digest)];
    const by = images.map((image) => published.get(image)).find((name) => name !== undefined);
    if (by === undefined) continue;
    found.tags.delete(tag);
    found.spared.set(tag, `the key of what ${by} points at`);
  }
}

/** Undefined where nothing makes the tag a candidate. */
function causeOf(
  tag: string,
  digest: Digest,
  snapshot: Snapshot,
  rules: Rules,
  created: ReadonlyMap<Digest, number>,
): { cause: Cause; limit: number; named: boolean } | undefined {
  const name = readTagName(tag);
  const time = name.kind === 'staged' ? startOfRun(name.run) : created.get(digest);
  const candidate = (why: string, named: boolean, limit = rules.olderThan) => ({
    cause: { why, ...(time === undefined ? {} : { time }) },
    limit,
    named,
  });
  if (rules.tags.some((pattern) => pattern === tag && isExact(pattern))) return candidate('named with --tags', true);
  const glob = rules.tags.find((pattern) => matchesTag(tag, pattern));
  switch (name.kind) {
    case 'staged':
      return candidate(`pushed by run ${name.run}`, false);
    case 'key':
      return rules.keysOlderThan === undefined ? undefined : candidate('a build’s key', false, rules.keysOlderThan);
    case 'record':
      // The record of a tag goes with the tag. `--tags '*'` doesn't mean what is left of tags that others took away.
      return glob?.startsWith('splitbuild-') && !snapshot.tags.has(name.of)
        ? candidate(`matches --tags '${glob}', and there is no tag ${name.of}`, false)
        : undefined;
    case 'attached':
      return undefined;
    case 'plain':
      return glob === undefined ? undefined : candidate(`matches --tags '${glob}'`, false);
  }
}

/** Signatures and lists of referrers of what is no longer there. */
function addGone(snapshot: Snapshot, rules: Rules, known: Known, found: Candidates): void {
  // Signatures may be kept in a repository of their own (COSIGN_REPOSITORY): what they sign is then elsewhere.
  const holdsImages = [...snapshot.tags.keys()].some((tag) => readTagName(tag).kind !== 'attached');
  if (!holdsImages) return;
  for (const tag of snapshot.tags.keys()) {
    const name = readTagName(tag);
    if (name.kind !== 'attached' || name.subject === undefined || !snapshot.absent.has(name.subject)) continue;
    if (known.pinnedTags.has(tag) || rules.keep.some((pattern) => matchesTag(tag, pattern))) continue;
    found.tags.set(tag, { why: 'what it belongs to is gone' });
  }
}

function addUntagged(
  snapshot: Snapshot,
  rules: Rules,
  known: Known,
  created: ReadonlyMap<Digest, number>,
  found: Candidates,
): void {
  const tagged = new Set(snapshot.tags.values());
  for (const [digest, pushed] of known.listed) {
    if (tagged.has(digest) || !snapshot.manifests.has(digest) || known.pinnedDigests.has(digest)) continue;
    // A reproducible build is made at a time of its own choosing, so the later of the two counts.
    const times = [pushed, created.get(digest)].filter((time) => time !== undefined);
    if (times.length === 0) continue;
    const time = Math.max(...times);
    if (rules.now - time >= rules.olderThan) found.digests.set(digest, { why: 'no tag points at it', time });
  }
}

function newestFirst(snapshot: Snapshot): string[] {
  const runs = new Set<string>();
  for (const tag of snapshot.tags.keys()) {
    const name = readTagName(tag);
    if (name.kind === 'staged') runs.add(name.run);
  }
  return [...runs].sort().reverse();
}
