// Moves of tags as a transaction, on a registry in memory that fails, dies and has rivals at every request.
import { describe, expect, test } from 'vitest';
import { systemClock } from '../clock.ts';
import type { Failure } from '../failure.ts';
import { indexSchema, mediaTypes } from '../image/oci.ts';
import { composeRecord, isOlder, parseRecord, recordTag } from '../image/publication.ts';
import { createSimulatedRegistry, type Fault, type Operation, type SimulatedRegistry } from '../registry/simulated.ts';
import type { Event } from './event.ts';
import { replayHistory } from './journal.ts';
import type { World } from './moves.ts';
import { openInRecords, recover } from './recovery.ts';
import { lastPublished, planRollback, rollBack } from './rollback.ts';
import { type MoveGroup, publishUnit, takeSnapshot } from './transaction.ts';

const signal = new AbortController().signal;
const lost: Failure = { kind: 'registry', transient: true, status: 503, message: '503' };
const tags = ['latest-amd64', 'latest-arm64', 'latest'];

interface Made {
  registry: SimulatedRegistry;
  world: World;
  events: Event[];
  /** Requests until now, of those that write. */
  writes: () => number;
}

function makeWorld(
  registry: SimulatedRegistry,
  id: string,
  meet: (operation: Operation, number: number) => Fault = () => undefined,
): Made {
  const events: Event[] = [];
  let writes = 0;
  const client = registry.client((operation) => {
    if (operation === 'put') writes += 1;
    return meet(operation, writes);
  });
  const world: World = {
    ...{ id, registry: client, registryAddress: 'r.example', embedded: true, force: false, clock: systemClock },
    emit: (event) => void events.push(event),
  };
  return { registry, world, events, writes: () => writes };
}

/** An empty index that differs by its text, in the repository. */
async function stage({ registry }: Made, repository: string, text: string): Promise<MoveGroup['moves'][number]['to']> {
  const bytes = Buffer.from(
    JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [], annotations: { text } }),
  );
  const put = await registry
    .client()
    .putManifest({ registry: 'r.example', repository }, bytes, mediaTypes.ociIndex, signal);
  if (!put.ok) throw new Error(JSON.stringify(put.failure));
  return put.value;
}

async function groupsOf(made: Made, text: string, repositories = ['team/a', 'team/b']): Promise<MoveGroup[]> {
  return Promise.all(
    repositories.map(async (repository) => ({
      repository,
      tag: 'latest',
      moves: await Promise.all(tags.map(async (tag) => ({ tag, to: await stage(made, repository, `${text} ${tag}`) }))),
    })),
  );
}

async function snapshotOf(made: Made, repositories = ['team/a', 'team/b']) {
  const targets = repositories.map((repository) => ({ repository, tags: ['latest'], archTags: tags.slice(0, 2) }));
  const snapshot = await takeSnapshot(targets, made.world, signal);
  if (!snapshot.ok) throw new Error(JSON.stringify(snapshot.failure));
  return snapshot.value;
}

async function publish(made: Made, text: string): Promise<Awaited<ReturnType<typeof publishUnit>>> {
  return publishUnit('family', await groupsOf(made, text), await snapshotOf(made), made.world, signal);
}

/** What every tag points at, as one line. */
function state(registry: SimulatedRegistry): string {
  return ['team/a', 'team/b'].flatMap((name) => tags.map((tag) => registry.tags(name).get(tag) ?? '-')).join(' ');
}

const journalOf = (events: Event[], family = 'f'): string => {
  const plan = {
    version: 1 as const,
    family,
    publish: 'family' as const,
    failedPlatform: 'hold' as const,
    gates: [],
    tasks: [],
  };
  const first: Event = { type: 'run-started', run: 'one', plan, builders: [], lastDurations: {}, time: 0 };
  return [first, ...events].map((event) => JSON.stringify(event)).join('\n');
};

/** An old release, and the number of writes that a new one takes. */
async function released(): Promise<{ registry: SimulatedRegistry; old: string; fresh: string; writes: number }> {
  const trial = createSimulatedRegistry();
  await publish(makeWorld(trial, 'zero'), 'old');
  const made = makeWorld(trial, 'one');
  await publish(made, 'new');
  const registry = createSimulatedRegistry();
  await publish(makeWorld(registry, 'zero'), 'old');
  return { registry, old: state(registry), fresh: state(trial), writes: made.writes() };
}

describe('moves that fail', () => {
  test.each([1, 2, 3, 4, 5, 6, 7, 8])('at write %i are taken back, and the next attempt makes them', async (at) => {
    const { registry, old, fresh, writes } = await released();
    expect(writes).toBe(8);
    const made = makeWorld(registry, 'one', (operation, number) =>
      operation === 'put' && number === at ? { when: 'before', failure: lost } : undefined,
    );
    expect(await publish(made, 'new')).toEqual({ ok: false, failure: lost });
    expect(state(registry)).toBe(old);
    expect(made.events.at(-1)).toMatchObject({ type: 'publish-finished', outcome: 'taken-back' });
    expect((await publish(makeWorld(registry, 'one'), 'new')).ok).toBe(true);
    expect(state(registry)).toBe(fresh);
  });

  test('are left for the next run where the registry is gone, which ends them', async () => {
    const { registry, old, fresh } = await released();
    const made = makeWorld(registry, 'one', (_operation, number) =>
      number >= 5 ? { when: 'before', failure: lost } : undefined,
    );
    expect((await publish(made, 'new')).ok).toBe(false);
    expect([old, fresh]).not.toContain(state(registry));
    const [open] = replayHistory([journalOf(made.events)], 'f').open;
    if (!open) throw new Error('nothing is open');
    expect((await recover(open, makeWorld(registry, 'two').world, signal)).ok).toBe(true);
    expect(state(registry)).toBe(fresh);
  });
});

describe('a process that is killed', () => {
  test.each([1, 2, 3, 4, 5, 6, 7, 8])(
    'at write %i leaves what the next one ends, by the journal or by the records',
    async (at) => {
      for (const by of ['journal', 'records']) {
        const { registry, old, fresh } = await released();
        const stop = new AbortController();
        let kill: () => void = () => undefined;
        const killed = new Promise<void>((resolve) => {
          kill = resolve;
        });
        const made = makeWorld(registry, 'one', (operation, number) => {
          if (operation !== 'put' || number < at) return undefined;
          kill();
          return 'silence';
        });
        const running = publish({ ...made, world: { ...made.world } }, 'new');
        await Promise.race([running, killed]);
        stop.abort();
        const next = makeWorld(registry, 'two');
        const open =
          by === 'journal'
            ? replayHistory([journalOf(made.events)], 'f').open
            : openInRecords(await snapshotOf(next), 'family', []);
        for (const publication of open) expect((await recover(publication, next.world, signal)).ok).toBe(true);
        // Two records come first: as long as no tag has moved, there is nothing to end.
        expect(state(registry)).toBe(at <= 3 ? old : fresh);
      }
    },
  );

  test('takes nothing further back than it went, where an image that was to be published is gone', async () => {
    const { registry, old } = await released();
    const made = makeWorld(registry, 'one', (operation, number) =>
      operation === 'put' && number >= 5 ? 'silence' : undefined,
    );
    void publish(made, 'new');
    await new Promise((resolve) => setTimeout(resolve, 20));
    const [open] = replayHistory([journalOf(made.events)], 'f').open;
    const last = open?.groups.at(-1)?.moves.at(-1);
    if (!open || !last) throw new Error('nothing is open');
    const gone = { registry: 'r.example', repository: last.repository, digest: last.to.digest };
    expect((await registry.client().deleteManifest(gone, signal)).ok).toBe(true);
    const next = makeWorld(registry, 'two');
    expect((await recover(open, next.world, signal)).ok).toBe(true);
    expect(state(registry)).toBe(old);
    expect(next.events.at(-1)).toMatchObject({ type: 'publish-recovered', outcome: 'taken-back' });
  });
});

describe('two runs on the same tags', () => {
  test('the second sees that a tag moved since it planned, by whom, and touches nothing', async () => {
    const { registry, fresh } = await released();
    const second = makeWorld(registry, 'second');
    const groups = await groupsOf(second, 'second');
    const snapshot = await snapshotOf(second);
    snapshot.planned += 1000; // it planned a little later than the other, and publishes after it
    await publish(makeWorld(registry, 'first'), 'new');
    const done = await publishUnit('family', groups, snapshot, second.world, signal);
    expect(done).toMatchObject({
      ok: false,
      failure: { kind: 'conflict', message: expect.stringMatching(/moved by run first since/) },
    });
    expect(state(registry)).toBe(fresh);
    const forced = await publishUnit('family', groups, snapshot, { ...second.world, force: true }, signal);
    expect(forced.ok).toBe(true);
    expect(state(registry)).not.toBe(fresh);
  });

  test('an older one does not overwrite a newer one, forced or not', async () => {
    const { registry, fresh } = await released();
    const older = makeWorld(registry, 'older');
    const groups = await groupsOf(older, 'older');
    const snapshot = await snapshotOf(older);
    snapshot.planned -= 1000;
    await publish(makeWorld(registry, 'newer'), 'new');
    for (const force of [false, true]) {
      const done = await publishUnit('family', groups, snapshot, { ...older.world, force }, signal);
      expect(done).toMatchObject({
        ok: false,
        failure: { kind: 'conflict', message: expect.stringContaining('newer run newer') },
      });
    }
    expect(state(registry)).toBe(fresh);
  });

  test('numbered runs go by their numbers, others by the time at which they planned', () => {
    expect(isOlder({ run: '9', planned: 5 }, { run: '10', planned: 4 })).toBe(true);
    expect(isOlder({ run: 'run-9', planned: 5 }, { run: 'run-10', planned: 4 })).toBe(true);
    expect(isOlder({ run: 'run-9', planned: 5 }, { run: 'job-10', planned: 4 })).toBe(false);
    expect(isOlder({ run: 'a', planned: 5 }, { run: 'b', planned: 4 })).toBe(false);
    expect(isOlder({ run: 'a', planned: 3 }, { run: 'b', planned: 4 })).toBe(true);
    expect(isOlder({ run: '7', planned: 3 }, { run: '7', planned: 4 })).toBe(false);
  });
});

describe('the record of a publication', () => {
  test('is read as it was written, and its name fits a registry', () => {
    const target = { mediaType: mediaTypes.ociIndex, digest: `sha256:${'a'.repeat(64)}`, size: 3 };
    const from = { ...target, digest: `sha256:${'b'.repeat(64)}` };
    const moves = [{ repository: 'team/a', tag: 'latest', to: target, from }];
    const publication = { run: 'r', planned: 1_000, repository: 'team/a', tag: 'latest', moves };
    const { bytes } = composeRecord(publication);
    expect(parseRecord(indexSchema.parse(JSON.parse(Buffer.from(bytes).toString())), 'team/a', 'latest')).toEqual(
      publication,
    );
    expect(recordTag('latest')).toBe('splitbuild-latest');
    expect(recordTag('x'.repeat(128))).toMatch(/^splitbuild-[0-9a-f]{64}$/);
  });

  test('takes every tag of an image back from any machine, and forth again', async () => {
    const { registry, old, fresh } = await released();
    await publish(makeWorld(registry, 'one'), 'new');
    for (const expected of [old, fresh]) {
      const { world } = makeWorld(registry, `rollback to ${expected === old ? 'old' : 'new'}`);
      const images = ['team/a', 'team/b'].map((repository) => ({ repository, tags: ['latest'] }));
      const published = await lastPublished(images, world, signal);
      const planned = published.ok ? await planRollback(published.value, world, signal) : published;
      if (!planned.ok) throw new Error(JSON.stringify(planned.failure));
      expect((await rollBack(planned.value, world, signal)).ok).toBe(true);
      expect(state(registry)).toBe(expected);
    }
  });

  test('is not followed where somebody else has moved the tag since', async () => {
    const { registry } = await released();
    const made = makeWorld(registry, 'one');
    await publish(made, 'new');
    const theirs = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [] }));
    const at = { registry: 'r.example', repository: 'team/b', tag: 'latest' };
    await registry.client().putManifest(at, theirs, mediaTypes.ociIndex, signal);
    const published = await lastPublished([{ repository: 'team/b', tags: ['latest'] }], made.world, signal);
    const planned = published.ok ? await planRollback(published.value, made.world, signal) : published;
    expect(planned).toMatchObject({
      ok: false,
      failure: { kind: 'conflict', message: expect.stringContaining('team/b:latest has moved since') },
    });
  });
});
