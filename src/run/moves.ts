// The moves of tags themselves, and the way back: what a transaction (transaction.ts) and its recovery are made of.
import { fail, ok, type Result } from '../failure.ts';
import type { Move, TagMoves } from '../image/publication.ts';
import type { Reference } from '../image/reference.ts';
import { inLanes } from '../lanes.ts';
import type { RunContext } from './context.ts';

export type World = Pick<RunContext, 'id' | 'registry' | 'registryAddress' | 'embedded' | 'emit' | 'clock' | 'force'>;

export const nameOf = ({ repository, tag }: { repository: string; tag: string }): string => `${repository}:${tag}`;

export function at({ registryAddress }: Pick<World, 'registryAddress'>, repository: string, tag: string): Reference {
  return { registry: registryAddress, repository, tag };
}

/** Moves of arch tags under way at a time; the first that fails lets no other begin. */
const archMovesAtATime = 8;

/**
 * The arch tags of all groups, then the tags of all, one after the other in the order given: one that people pull moves only when all that
 * goes with it is in place. Each is confirmed by reading it back.
 */
export async function moveAll(groups: TagMoves[], world: World, signal: AbortSignal): Promise<Result<void>> {
  const isTag = ({ tag }: TagMoves, move: Move): boolean => move.tag === tag;
  for (const main of [false, true]) {
    const together = groups.flatMap((group) => group.moves.filter((move) => isTag(group, move) === main));
    const moved = await inLanes(main ? 1 : archMovesAtATime, together, async (move) => {
      const done = await pointTag(move, move.to, world, signal);
      if (!done.ok) return done;
      const { to, from } = move;
      world.emit({
        type: 'tag-moved',
        reference: `${world.registryAddress}/${nameOf(move)}`,
        digest: to.digest,
        ...(from ? { previous: from.digest } : {}),
        time: world.clock.now(),
      });
      return done;
    });
    if (!moved.ok) return moved;
  }
  return ok(undefined);
}

async function pointTag(move: Move, to: Move['to'], world: World, signal: AbortSignal): Promise<Result<void>> {
  const { repository, tag } = move;
  const manifest = await world.registry.getManifest(
    { registry: world.registryAddress, repository, digest: to.digest },
    signal,
  );
  if (!manifest.ok) return manifest;
  const reference = at(world, repository, tag);
  const put = await world.registry.putManifest(reference, manifest.value.bytes, to.mediaType, signal);
  if (!put.ok) return put;
  const after = await world.registry.headManifest(reference, signal);
  if (!after.ok) return after;
  if (after.value?.digest === to.digest) return ok(undefined);
  return fail({
    kind: 'conflict',
    message: `${nameOf(move)} points at ${after.value?.digest ?? 'nothing'} after it was moved to ${to.digest}`,
    where: `${world.registryAddress}/${nameOf(move)}`,
    help: 'another run may be publishing the same tag; look at its pipeline, then run again',
  });
}

/**
 * Puts tags that were moved back to what they were, the last first; one that somebody else has moved since is left alone. One that can't
 * be put back does not keep the others from it; the first such failure is the result.
 */
export async function takeBack(moves: Move[], world: World, signal: AbortSignal): Promise<Result<void>> {
  let failed: Result<void> | undefined;
  for (const move of [...moves].reverse()) {
    const back = await takeBackOne(move, world, signal);
    if (!back.ok) failed ??= back;
  }
  return failed ?? ok(undefined);
}

async function takeBackOne(move: Move, world: World, signal: AbortSignal): Promise<Result<void>> {
  const reference = at(world, move.repository, move.tag);
  const now = await world.registry.headManifest(reference, signal);
  if (!now.ok) return now;
  if (now.value?.digest !== move.to.digest) return ok(undefined);
  if (!move.from && !world.embedded) {
    // To drop a tag is, for some registries, to drop its manifest and whatever else points at it.
    const message = `${nameOf(move)}, which is new, stays: not every registry can drop a tag alone`;
    world.emit({ type: 'warning', message, time: world.clock.now() });
    return ok(undefined);
  }
  const restored = move.from
    ? await pointTag(move, move.from, world, signal)
    : await world.registry.deleteManifest(reference, signal);
  if (!restored.ok) return restored;
  world.emit({
    type: 'tag-restored',
    reference: `${world.registryAddress}/${nameOf(move)}`,
    ...(move.from ? { digest: move.from.digest } : {}),
    time: world.clock.now(),
  });
  return restored;
}
