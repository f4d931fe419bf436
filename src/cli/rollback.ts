// `splitbuild rollback`: tags go back to what they were before they were published.
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { systemClock } from '../clock.ts';
import type { Config } from '../config/config.ts';
import { type Failure, fail, ok, type Result } from '../failure.ts';
import { registryPath } from '../family/family.ts';
import type { TagMoves } from '../image/publication.ts';
import type { Event } from '../run/event.ts';
import { openJournal, parseJournal } from '../run/journal.ts';
import { lastPublished, planRollback, publishedBy, type Rollback, rollBack } from '../run/rollback.ts';
import { type FamilyOptions, interruptSignal, loadConfig, printFailure } from './load.ts';
import { type OpenRegistry, openRegistry, runId } from './open-registry.ts';

interface RollbackOptions extends Omit<FamilyOptions, 'platform'> {
  dryRun?: true | undefined;
  force?: true | undefined;
}

/** `what` are images of the config, or one run; all images where nothing is named. */
export async function rollback(what: string[], options: RollbackOptions): Promise<number> {
  const signal = interruptSignal();
  const config = await loadConfig(options);
  if (!config.ok) return printFailure(config.failure);
  const registry = await openRegistry(config.value, options.state, (failure) => printFailure(failure));
  if (!registry.ok) return printFailure(registry.failure);
  try {
    return await perform(what, config.value, registry.value, options, signal);
  } finally {
    await registry.value.close();
  }
}

async function perform(
  what: string[],
  config: Config,
  registry: OpenRegistry,
  options: RollbackOptions,
  signal: AbortSignal,
): Promise<number> {
  const id = runId(new Date());
  const world = {
    id,
    registry: registry.client,
    registryAddress: registry.address,
    embedded: config.registry.kind === 'embedded',
    clock: systemClock,
    force: options.force ?? false,
    emit: (_event: Event): void => undefined,
  };
  const runs = resolve(options.state, 'runs');
  const chosen = await choose(what, config, runs);
  if (!chosen.ok) return printFailure(chosen.failure);
  const published =
    'moved' in chosen.value ? ok(chosen.value.moved) : await lastPublished(chosen.value.images, world, signal);
  if (!published.ok) return printFailure(published.failure);
  const planned = await planRollback(published.value, world, signal);
  if (!planned.ok) return printFailure(planned.failure);
  const moves = planned.value.groups.flatMap(({ repository, moves }) => moves.map((move) => ({ repository, ...move })));
  if (moves.length === 0) return print(planned.value, options, 'Nothing to take back: no publication is on record.');
  if (options.dryRun) return print(planned.value, options, `${count(moves.length)} would go back; nothing was moved.`);
  const journal = openJournal(runs, id);
  if (!journal.ok) return printFailure(journal.failure);
  let unwritten: Failure | undefined;
  const emit = (event: Event): void => {
    const written = journal.value.append(event);
    if (!written.ok) unwritten ??= written.failure;
    if (event.type === 'warning') process.stderr.write(`warning: ${event.message}\n`);
  };
  const { publish, failedPlatform, gates, family } = config;
  const plan = { version: 1 as const, family, publish, failedPlatform, gates, tasks: [] };
  const started = Date.now();
  emit({ type: 'run-started', run: id, plan, builders: [], lastDurations: {}, time: started });
  const done = unwritten ? fail(unwritten) : await rollBack(planned.value, { ...world, emit }, signal);
  const outcome = done.ok ? 'done' : 'failed';
  const time = Date.now();
  emit({ type: 'run-finished', run: id, outcome, wallMs: time - started, criticalPathMs: 0, criticalPath: [], time });
  journal.value.close();
  if (!done.ok) return printFailure(done.failure);
  return print(planned.value, options, `${count(moves.length)} went back. The same command takes them forth again.`);
}

/** Images to take back by their records, or what a run's journal says that it moved. */
async function choose(
  what: string[],
  config: Config,
  runs: string,
): Promise<Result<{ images: { repository: string; tags: string[] }[] } | { moved: TagMoves[] }>> {
  const [first] = what;
  const known = config.images.map(({ name }) => name);
  if (first !== undefined && !known.includes(first)) {
    const text = await readFile(resolve(runs, `${first.replace(/[^\w.-]/g, '')}.jsonl`), 'utf8').catch(() => undefined);
    if (text === undefined || what.length > 1) {
      return fail({
        kind: 'usage',
        message: `'${first}' is neither an image of the config nor a run whose journal is here`,
        where: runs,
        help: `images: ${known.join(', ')}`,
      });
    }
    return ok({ moved: publishedBy(parseJournal(text)) });
  }
  const unknown = what.find((name) => !known.includes(name));
  if (unknown !== undefined) {
    return fail({ kind: 'usage', message: `no image '${unknown}' in the config`, help: `it has: ${known.join(', ')}` });
  }
  const images = config.images
    .filter(({ name }) => what.length === 0 || what.includes(name))
    .map((image) => ({ repository: registryPath(config, image.repository), tags: image.tags ?? config.tags }));
  return ok({ images });
}

function print({ groups, created }: Rollback, { json }: RollbackOptions, verdict: string): number {
  const moves = groups.flatMap(({ repository, moves }) =>
    moves.map(({ tag, to }) => ({ repository, tag, to: to.digest })),
  );
  if (json) {
    process.stdout.write(`${JSON.stringify({ moves, created }, undefined, 2)}\n`);
    return 0;
  }
  for (const { repository, tag, to } of moves) process.stdout.write(`${repository}:${tag}  → ${to}\n`);
  for (const { repository, tag } of created) process.stdout.write(`${repository}:${tag}  was new, and stays\n`);
  process.stdout.write(`${verdict}\n`);
  return 0;
}

function count(tags: number): string {
  return `${tags} tag${tags === 1 ? '' : 's'}`;
}
