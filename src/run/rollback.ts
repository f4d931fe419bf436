// Takes tags back to what they pointed at before a publication: the last one of an image, as the registry's record tells, or one run's, as
// its journal tells. The way back is a publication of its own, so it can be taken back as well.
import { fail, ok, type Result } from '../failure.ts';
import type { Move, TagMoves } from '../image/publication.ts';
import type { Event } from './event.ts';
import type { World } from './moves.ts';
import { type MoveGroup, publishUnit, readRecord, takeSnapshot } from './transaction.ts';

export interface Rollback {
  /** What goes back where; in the order in which it does. */
  groups: MoveGroup[];
  /** Tags that were not there before: there is nothing to take them back to. */
  created: Pick<Move, 'repository' | 'tag'>[];
}

/** The last publication of each tag, as its record in the registry tells. */
export async function lastPublished(
  images: { repository: string; tags: string[] }[],
  world: World,
  signal: AbortSignal,
): Promise<Result<TagMoves[]>> {
  const found = await Promise.all(
    images.flatMap(({ repository, tags }) =>
      tags.map(async (tag): Promise<Result<TagMoves | undefined>> => {
        return readRecord(repository, tag, world, signal);
      }),
    ),
  );
  const failed = found.find((one) => !one.ok);
  if (failed && !failed.ok) return failed;
  return ok(found.flatMap((one) => (one.ok && one.value ? [one.value] : [])));
}

/** What one run published, as its journal tells. */
export function publishedBy(events: Event[]): TagMoves[] {
  return events.flatMap((event) => (event.type === 'publish-prepared' ? event.groups : []));
}

/** Fails with `conflict` where a tag is no longer what was published, and where what it was before is gone. */
export async function planRollback(
  published: TagMoves[],
  world: World,
  signal: AbortSignal,
): Promise<Result<Rollback>> {
  const rollback: Rollback = { groups: [], created: [] };
  for (const { repository, tag, moves } of published) {
    const back: MoveGroup['moves'] = [];
    for (const move of moves) {
      const at = { registry: world.registryAddress, repository };
      const now = await world.registry.headManifest({ ...at, tag: move.tag }, signal);
      if (!now.ok) return now;
      const where = `${world.registryAddress}/${repository}:${move.tag}`;
      const expected = [move.to.digest, move.from?.digest].includes(now.value?.digest);
      if (!expected && !world.force) {
        return fail({
          kind: 'conflict',
          message: `${repository}:${move.tag} has moved since: it is ${now.value?.digest ?? 'absent'}, and was published as ${move.to.digest}`,
          where,
          help: 'somebody published after that; --force takes it back to what it was before all the same',
        });
      }
      if (!move.from) {
        if (now.value) rollback.created.push({ repository, tag: move.tag });
        continue;
      }
      if (now.value?.digest === move.from.digest) continue;
      const before = await world.registry.headManifest({ ...at, digest: move.from.digest }, signal);
      if (!before.ok) return before;
      if (!before.value) {
        return fail({
          kind: 'conflict',
          message: `what ${repository}:${move.tag} was before, ${move.from.digest}, is not in the registry any more`,
          where,
          help: 'build and publish that version again',
        });
      }
      back.push({ tag: move.tag, to: move.from });
    }
    if (back.length > 0) rollback.groups.push({ repository, tag, moves: back });
  }
  return ok(rollback);
}

/** All tags go back, or none does. */
export async function rollBack({ groups }: Rollback, world: World, signal: AbortSignal): Promise<Result<void>> {
  const targets = groups.map(({ repository, tag, moves }) => ({
    repository,
    tags: [tag],
    archTags: moves.map((move) => move.tag).filter((name) => name !== tag),
  }));
  const snapshot = await takeSnapshot(targets, world, signal);
  return snapshot.ok ? publishUnit('rollback', groups, snapshot.value, world, signal) : snapshot;
}
