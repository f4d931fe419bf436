// Ends what a run that was killed in the middle of its moves left: another run of this machine's by its journal, one of another
// machine's by the records in the registry.
import { isAbsent, ok, type Result } from '../failure.ts';
import type { Move } from '../image/publication.ts';
import type { OpenPublication } from './journal.ts';
import { at, moveAll, nameOf, takeBack, type World } from './moves.ts';
import { type Snapshot, writeRecords } from './transaction.ts';

/**
 * Ends what an earlier run began: if one tag of it has moved, the others follow; where an image that they should point at is gone,
 * those that have moved are taken back. A publication of which nothing has moved is nothing.
 */
export async function recover(open: OpenPublication, world: World, signal: AbortSignal): Promise<Result<void>> {
  const states: { move: Move; digest: string | undefined }[] = [];
  const moves = open.groups.flatMap((group) => group.moves);
  for (const move of moves) {
    const now = await world.registry.headManifest(at(world, move.repository, move.tag), signal);
    if (!now.ok) return now;
    states.push({ move, digest: now.value?.digest });
  }
  const pending = new Set(states.filter(({ move, digest }) => digest === move.from?.digest).map(({ move }) => move));
  const begun = states.some(({ move, digest }) => digest === move.to.digest);
  const end = (outcome: 'published' | 'taken-back'): Result<void> => {
    world.emit({ type: 'publish-recovered', run: open.run, unit: open.unit, outcome, time: world.clock.now() });
    return ok(undefined);
  };
  if (!begun) return end('taken-back');
  const { run, planned } = open;
  const records = open.groups.map((group) => ({ ...group, run, planned }));
  const recorded = await writeRecords(records, world, signal);
  if (!recorded.ok) return recorded;
  const moved = await moveAll(
    open.groups.map((group) => ({ ...group, moves: group.moves.filter((move) => pending.has(move)) })),
    world,
    signal,
  );
  if (moved.ok) return end('published');
  // Something that a tag should point at is gone.
  if (!isAbsent(moved.failure)) return moved;
  const back = await takeBack(moves, world, signal);
  return back.ok ? end('taken-back') : back;
}

/**
 * Publications that other machines began and did not end, as the records of the tags tell: a mix of old and new within one unit. A
 * unit is what one run moved, of the whole family or of one image.
 */
export function openInRecords(
  snapshot: Snapshot,
  publish: 'image' | 'family',
  ownJournal: OpenPublication[],
): OpenPublication[] {
  const units = Map.groupBy(snapshot.records, ([name, { run }]) => (publish === 'family' ? run : `${run} ${name}`));
  return [...units.values()].flatMap((members): OpenPublication[] => {
    const records = members.map(([, record]) => record);
    const run = records[0]?.run ?? '';
    if (ownJournal.some((open) => open.run === run)) return [];
    const moves = records.flatMap((record) => record.moves);
    const where = moves.map((move) => snapshot.tags.get(nameOf(move))?.digest);
    const moved = moves.some(({ to }, index) => where[index] === to.digest);
    const waits = moves.some(({ from, to }, index) => where[index] === from?.digest && from?.digest !== to.digest);
    const planned = Math.max(...records.map((record) => record.planned));
    return moved && waits
      ? [{ run, planned, unit: publish === 'family' ? 'family' : (moves[0]?.repository ?? ''), groups: records }]
      : [];
  });
}
