// Deletes what was decided on, one after the other. Right before each, the tags are read again: what has moved meanwhile protects.
import { type Failure, fail, isAbsent, ok, type Result } from '../failure.ts';
import type { Digest } from '../image/oci.ts';
import { formatReference } from '../image/reference.ts';
import type { Known, Rules } from './candidates.ts';
import { isUnsupported } from './capability.ts';
import type { Decision, Item } from './decide.ts';
import type { DeletionRecord, RecordLine } from './record.ts';
import { type PruneStore, refresh, type Snapshot } from './snapshot.ts';
import { type Reached, walk } from './walk.ts';

export interface Deletion {
  item: Item;
  outcome: 'deleted' | 'spared' | 'failed';
  /** Why not. */
  because?: string;
}

export interface DeleteContext {
  store: PruneStore;
  rules: Rules;
  known: Known;
  record: DeletionRecord;
  /** Ms since the epoch. */
  now(): number;
}

/** Longest that a reading of the tags serves, ms. */
const longestReading = 10_000;

/**
 * The failure is of what makes going on senseless: the record can't be written, the registry can't be read, it took more away
 * than it was told to. That one thing can't be deleted is its own outcome, and what needs it is then spared. With
 * `unsupported`, the registry refused to delete a tag alone: decide again for one that can't.
 */
export async function deleteItems(
  snapshot: Snapshot,
  decision: Decision,
  context: DeleteContext,
  signal: AbortSignal,
): Promise<Result<{ done: Deletion[]; unsupported: boolean }>> {
  const { store, record, now } = context;
  const { repository } = snapshot;
  const items = decision.items.filter(({ action }) => action !== 'keep');
  const written = record.append(items.map((item) => planned(snapshot, item, now())));
  if (!written.ok) return written;
  /** Tags that are to go and still point where they did; all others protect what they reach. */
  const doomed = new Map(items.flatMap(({ tag, digest }) => (tag === undefined ? [] : [[tag, digest] as const])));
  /** Manifests that nothing which stays needs, the registry's own business among them. */
  const condemned = new Set(decision.items.flatMap(({ tag, digest }) => (tag === undefined ? [digest] : [])));
  const guard = createGuard(snapshot, doomed, condemned, context);
  const done: Deletion[] = [];
  const note = (item: Item, outcome: Deletion['outcome'], because?: string): Result<void> => {
    done.push({ item, outcome, ...(because === undefined ? {} : { because }) });
    const { tag, digest } = item;
    const about = {
      time: now(),
      repository: formatReference(repository),
      ...(tag === undefined ? {} : { tag }),
      digest,
    };
    return record.append([
      outcome === 'deleted' ? { type: 'deleted', ...about } : { type: 'kept', ...about, because: because ?? '' },
    ]);
  };
  for (const item of items) {
    const { tag, digest } = item;
    // Judged again with its manifest, and gone with it.
    if (item.action === 'along') continue;
    const protectors = await guard(signal);
    if (!protectors.ok) return protectors;
    if (tag !== undefined && snapshot.tags.has(tag)) {
      const head = await store.headManifest({ ...repository, tag }, signal);
      if (!head.ok) return head;
      if (head.value) snapshot.tags.set(tag, head.value.digest);
      else snapshot.tags.delete(tag);
    }
    const along = tag === undefined ? items.filter((one) => one.action === 'along' && one.digest === digest) : [];
    /** The item and the tags that would have gone along stay, and so what they need. */
    const stay = (outcome: 'spared' | 'failed', because: string): Result<void> => {
      if (tag === undefined) condemned.delete(digest);
      for (const one of [...along, item]) {
        if (one.tag !== undefined) doomed.delete(one.tag);
        const noted = note(one, outcome, because);
        if (!noted.ok) return noted;
      }
      return ok(undefined);
    };
    const reason = spared(item, snapshot, protectors.value, doomed);
    if (reason !== undefined) {
      const noted = stay('spared', reason);
      if (!noted.ok) return noted;
      continue;
    }
    const deleted = await store.deleteManifest(
      { ...repository, ...(tag === undefined ? { digest } : { tag }) },
      signal,
    );
    if (!deleted.ok && !isAbsent(deleted.failure)) {
      const { failure } = deleted;
      // What this user may not do once, he may not do a thousand times.
      const forbidden = failure.kind === 'registry' && (failure.status === 401 || failure.status === 403);
      if (forbidden || failure.kind === 'cancelled') return deleted;
      if (tag !== undefined && isUnsupported(failure)) return ok({ done, unsupported: true });
      const noted = stay('failed', wordsOf(failure));
      if (!noted.ok) return noted;
      continue;
    }
    if (tag === undefined) {
      snapshot.manifests.delete(digest);
      snapshot.absent.add(digest);
      for (const one of along) {
        if (one.tag === undefined || !doomed.delete(one.tag)) continue;
        snapshot.tags.delete(one.tag);
        const noted = note(one, 'deleted');
        if (!noted.ok) return noted;
      }
    } else {
      // Should it come back, somebody has pushed it anew.
      doomed.delete(tag);
      snapshot.tags.delete(tag);
      const intact = await putBackWhatWentAlong(snapshot, item, protectors.value, store, signal);
      if (!intact.ok) return intact;
    }
    const noted = note(item, 'deleted');
    if (!noted.ok) return noted;
  }
  return ok({ done, unsupported: false });
}

/**
 * Gives what is reached by all that stays, from tags read anew. A reading serves for as long as it took: with a few tags, there
 * is one before every deletion; with thousands, reading takes half of the time at most.
 */
function createGuard(
  snapshot: Snapshot,
  doomed: ReadonlyMap<string, Digest>,
  condemned: ReadonlySet<Digest>,
  { store, rules, known, now }: DeleteContext,
): (signal: AbortSignal) => Promise<Result<Reached>> {
  let servesUntil = Number.NEGATIVE_INFINITY;
  return async (signal) => {
    if (now() >= servesUntil) {
      const begun = now();
      const read = await refresh(snapshot, store, [], signal);
      if (!read.ok) return read;
      const ended = now();
      servesUntil = ended + Math.min(ended - begun, longestReading);
    }
    const others = [...snapshot.manifests.keys()].filter((digest) => !condemned.has(digest));
    return ok(
      walk(
        snapshot,
        {
          tags: [...snapshot.tags].flatMap(([tag, digest]) => (doomed.get(tag) === digest ? [] : [tag])),
          digests: [...known.pinnedDigests, ...others.map((digest): [Digest, string] => [digest, digest])],
        },
        {
          generous: true,
          archTagSuffix: rules.archTagSuffix,
          wayBack: known.wayBack,
          without: new Set(rules.tags),
        },
      ),
    );
  };
}

function spared(
  item: Item,
  snapshot: Snapshot,
  kept: Reached,
  doomed: ReadonlyMap<string, Digest>,
): string | undefined {
  const { tag, digest } = item;
  if (tag === undefined) {
    const need = kept.digests.get(digest);
    return need === undefined ? undefined : `${need} needs it by now`;
  }
  const at = snapshot.tags.get(tag);
  if (at === undefined) return 'it is gone already';
  if (at !== digest || !doomed.has(tag)) return 'it was moved meanwhile';
  const need = kept.tags.get(tag);
  return need === undefined ? undefined : `it belongs to ${need} by now`;
}

/** There are registries that take the manifest along with its tag. What is kept is put back, and nothing more is deleted. */
async function putBackWhatWentAlong(
  snapshot: Snapshot,
  item: Item,
  kept: Reached,
  store: PruneStore,
  signal: AbortSignal,
): Promise<Result<void>> {
  const { repository } = snapshot;
  const node = snapshot.manifests.get(item.digest);
  if (!node || !kept.digests.has(item.digest)) return ok(undefined);
  const there = await store.headManifest({ ...repository, digest: item.digest }, signal);
  if (!there.ok) return there;
  if (there.value) return ok(undefined);
  const tags = [...snapshot.tags].flatMap(([tag, digest]) => (digest === item.digest ? [tag] : []));
  for (const to of [{ digest: item.digest }, ...tags.map((tag) => ({ tag }))]) {
    const put = await store.putManifest({ ...repository, ...to }, node.bytes, node.descriptor.mediaType, signal);
    if (!put.ok) return put;
  }
  return fail({
    kind: 'verification',
    message: `the registry deleted the manifest ${item.digest} together with the tag ${item.tag ?? ''}: it was put back`,
    where: formatReference(repository),
    tried: ['deleted a tag alone, as distribution-spec 1.1 has it'],
    help: 'tags of this registry can’t be pruned; nothing more was deleted',
  });
}

function planned(snapshot: Snapshot, item: Item, time: number): RecordLine {
  const { registry, repository } = snapshot.repository;
  const node = snapshot.manifests.get(item.digest);
  return {
    type: 'planned',
    time,
    registry,
    repository,
    ...(item.tag === undefined ? {} : { tag: item.tag }),
    digest: item.digest,
    ...(node ? { mediaType: node.descriptor.mediaType } : {}),
    bytes: item.bytes,
    ...(node ? { manifest: Buffer.from(node.bytes).toString('utf8') } : {}),
  };
}

function wordsOf(failure: Failure): string {
  return 'message' in failure ? failure.message : failure.kind;
}
