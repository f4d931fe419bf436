// Moves the tags of a unit (an image, or a whole family) as a transaction: what each tag was is known and recorded, here and in the
// registry, before the first moves; where the moves can't go on they are taken back, and a later run ends what was cut off.
import { fail, isAbsent, ok, type Result } from '../failure.ts';
import {
  composeRecord,
  isOlder,
  type Move,
  type Publication,
  parseRecord,
  recordTag,
  type TagMoves,
} from '../image/publication.ts';
import { isIndex } from '../image/store.ts';
import { at, moveAll, nameOf, takeBack, type World } from './moves.ts';

/** The tags of one image that move together, a tag with its arch tags. */
export interface MoveGroup {
  repository: string;
  tag: string;
  /** In the order in which they are made: arch tags, then the tag. */
  moves: Omit<Move, 'from' | 'repository'>[];
}

/** What tags point at, by `repository:tag`. */
export type Tags = Map<string, Move['to'] | undefined>;

/** What tags pointed at when the run planned; and, by `repository:tag`, the newest publication that each is known to come from. */
export interface Snapshot {
  planned: number;
  tags: Tags;
  records: Map<string, Publication>;
}

/** The tags of an image. */
export interface TagsOf {
  repository: string;
  tags: string[];
  archTags: string[];
}

/** Looks at every tag, and at its record. */
export async function takeSnapshot(images: TagsOf[], world: World, signal: AbortSignal): Promise<Result<Snapshot>> {
  const planned = world.clock.now();
  const [tags, records] = await Promise.all([lookAtTags(images, world, signal), readRecords(images, world, signal)]);
  if (!tags.ok) return tags;
  return records.ok ? ok({ planned, tags: tags.value, records: records.value }) : records;
}

export async function lookAtTags(
  images: TagsOf[],
  world: Pick<World, 'registry' | 'registryAddress'>,
  signal: AbortSignal,
): Promise<Result<Tags>> {
  const found: Tags = new Map();
  const looks = images.flatMap(({ repository, tags, archTags }) =>
    [...tags, ...archTags].map(async (tag): Promise<Result<void>> => {
      const there = await world.registry.headManifest(at(world, repository, tag), signal);
      if (!there.ok) return there;
      found.set(nameOf({ repository, tag }), there.value);
      return ok(undefined);
    }),
  );
  const failed = (await Promise.all(looks)).find((result) => !result.ok);
  return failed && !failed.ok ? failed : ok(found);
}

export async function readRecords(
  images: Omit<TagsOf, 'archTags'>[],
  world: Pick<World, 'registry' | 'registryAddress'>,
  signal: AbortSignal,
): Promise<Result<Snapshot['records']>> {
  const found: Snapshot['records'] = new Map();
  const looks = images.flatMap(({ repository, tags }) =>
    tags.map(async (tag): Promise<Result<void>> => {
      const record = await readRecord(repository, tag, world, signal);
      if (!record.ok) return record;
      if (record.value) found.set(nameOf({ repository, tag }), record.value);
      return ok(undefined);
    }),
  );
  const failed = (await Promise.all(looks)).find((result) => !result.ok);
  return failed && !failed.ok ? failed : ok(found);
}

export async function readRecord(
  repository: string,
  tag: string,
  world: Pick<World, 'registry' | 'registryAddress'>,
  signal: AbortSignal,
): Promise<Result<Publication | undefined>> {
  const reference = { registry: world.registryAddress, repository, tag: recordTag(tag) };
  const found = await world.registry.getManifest(reference, signal);
  if (found.ok) return ok(isIndex(found.value) ? parseRecord(found.value.content, repository, tag) : undefined);
  return isAbsent(found.failure) ? ok(undefined) : found;
}

/**
 * Publishes a unit. All its images are staged and verified. Fails with `conflict` where a tag moved since the snapshot, and then
 * touches nothing. An interruption (`signal`) is heeded before the first tag moves, and not between two.
 */
export async function publishUnit(
  unit: string,
  groups: MoveGroup[],
  snapshot: Snapshot,
  world: World,
  signal: AbortSignal,
): Promise<Result<void>> {
  const current = await readMoves(groups, snapshot, world, signal);
  if (!current.ok) return current;
  const changes = current.value.filter(({ move }) => move.from?.digest !== move.to.digest);
  const pending = changes.filter(({ moved }) => !moved);
  if (pending.length === 0) return ok(undefined);
  const refused = await conflicts(pending, snapshot, world, signal);
  if (refused) return refused;
  const { planned } = snapshot;
  const moves = changes.map(({ move }) => move);
  const changed = [...Map.groupBy(changes, ({ group }) => group)].map(
    ([{ repository, tag }, found]): TagMoves => ({ repository, tag, moves: found.map(({ move }) => move) }),
  );
  world.emit({ type: 'publish-prepared', unit, planned, groups: changed, time: world.clock.now() });
  // From here on only the end of the moves is an end: they take milliseconds, and a second Ctrl-C ends the process.
  const steady = new AbortController().signal;
  const records = changed.map((group) => ({ ...group, run: world.id, planned }));
  const recorded = await writeRecords(records, world, steady);
  if (!recorded.ok) return undo(recorded);
  const waiting = new Set(pending.map(({ move }) => move));
  const moved = await moveAll(
    changed.map((group) => ({ ...group, moves: group.moves.filter((move) => waiting.has(move)) })),
    world,
    steady,
  );
  if (moved.ok) {
    world.emit({ type: 'publish-finished', unit, outcome: 'published', time: world.clock.now() });
    return moved;
  }
  return undo(moved);

  /** The tags go back to where they were, those of an attempt before this one too; so do their records, as far as the registry lets. */
  async function undo(failed: Result<void>): Promise<Result<void>> {
    const back = await takeBack(moves, world, steady);
    if (!back.ok) return failed;
    const before = changed.flatMap((group) => snapshot.records.get(nameOf(group)) ?? []);
    const restored = await writeRecords(before, world, steady);
    if (restored.ok) world.emit({ type: 'publish-finished', unit, outcome: 'taken-back', time: world.clock.now() });
    return failed;
  }
}

interface FoundMove {
  move: Move;
  /** The group that it is of. */
  group: MoveGroup;
  /** An attempt before this one has moved it already. */
  moved: boolean;
}

/** Each tag as it is now. One that points at its new image already is said to come from what it was when the run planned. */
async function readMoves(
  groups: MoveGroup[],
  { tags }: Snapshot,
  world: World,
  signal: AbortSignal,
): Promise<Result<FoundMove[]>> {
  const found = await Promise.all(
    groups.flatMap((group) =>
      group.moves.map(async ({ tag, to }): Promise<Result<FoundMove>> => {
        const { repository } = group;
        const now = await world.registry.headManifest(at(world, repository, tag), signal);
        if (!now.ok) return now;
        const moved = now.value?.digest === to.digest;
        const from = moved ? tags.get(nameOf({ repository, tag })) : now.value;
        return ok({ group, moved, move: { repository, tag, to, ...(from ? { from: targetOf(from) } : {}) } });
      }),
    ),
  );
  const failed = found.find((one) => !one.ok);
  if (failed && !failed.ok) return failed;
  return ok(found.flatMap((one) => (one.ok ? [one.value] : [])));
}

function targetOf({ mediaType, digest, size }: Move['to']): Move['to'] {
  return { mediaType, digest, size };
}

/** Undefined where every tag is still what it was when the run planned, or the run was told to go on and is the newer one. */
async function conflicts(
  moves: FoundMove[],
  snapshot: Snapshot,
  world: World,
  signal: AbortSignal,
): Promise<Result<never> | undefined> {
  for (const { move, group } of moves) {
    const name = nameOf(move);
    const main = { repository: group.repository, tag: group.tag };
    const before = snapshot.tags.get(name);
    const movedSince = before?.digest !== move.from?.digest;
    const record = movedSince
      ? await readRecord(main.repository, main.tag, world, signal)
      : ok(snapshot.records.get(nameOf(main)));
    if (!record.ok) return record;
    const other = record.value;
    const mine = { run: world.id, planned: snapshot.planned };
    const published = other?.moves.some(({ tag, to }) => tag === move.tag && to.digest === move.from?.digest);
    const where = `${world.registryAddress}/${name}`;
    if (other && published && isOlder(mine, other)) {
      return fail({
        kind: 'conflict',
        message: `${name} was published by the newer run ${other.run}: an older run does not overwrite it`,
        where,
        help: 'run again to build and publish what is newest now',
      });
    }
    if (movedSince && !world.force) {
      const by = other && published ? ` by run ${other.run}` : '';
      return fail({
        kind: 'conflict',
        message: `${name} moved${by} since this run planned: it was ${before?.digest ?? 'absent'} and is ${move.from?.digest ?? 'absent'}`,
        where,
        help: 'two runs publish the same tag: run again, or go on with --force',
      });
    }
  }
  return undefined;
}

/**
 * One record a tag. That a registry won't have it costs the way back from other machines and nothing else; where it may take it at the
 * next attempt, this one ends here.
 */
export async function writeRecords(records: Publication[], world: World, signal: AbortSignal): Promise<Result<void>> {
  const written = await Promise.all(
    records.map(async ({ repository, tag, ...publication }): Promise<Result<void>> => {
      const record = composeRecord(publication);
      const reference = at(world, repository, recordTag(tag));
      const put = await world.registry.putManifest(reference, record.bytes, record.mediaType, signal);
      if (put.ok) return ok(undefined);
      if (put.failure.kind !== 'registry' || put.failure.transient) return put;
      const message = `the registry does not keep the record of ${repository}:${tag} (${put.failure.message}): rollback works from this machine's journal only`;
      world.emit({ type: 'warning', message, time: world.clock.now() });
      return ok(undefined);
    }),
  );
  return written.find((one) => !one.ok) ?? ok(undefined);
}
