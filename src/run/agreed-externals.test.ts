// Two jobs of one run, each with what it has found out itself, on one registry.
import { expect, test } from 'vitest';
import { fail, type Result } from '../failure.ts';
import { sha256 } from '../image/digest.ts';
import { createSimulatedRegistry, type Fault, type Operation, type SimulatedRegistry } from '../registry/simulated.ts';
import { createVirtualClock, type VirtualClock } from '../virtual-clock.ts';
import { agreeOn, noteTag } from './agreed-externals.ts';
import type { External } from './keys-externals.ts';

const debian = 'docker.io/library/debian:12';
const never = new AbortController().signal;
const digestOf = (name: string) => ({ digest: sha256(name) });

interface Job {
  clock: VirtualClock;
  registry: SimulatedRegistry;
  /** When it begins, ms. */
  at?: number;
  run?: string;
  repository?: string;
  meet?: (operation: Operation) => Promise<Fault> | Fault;
  warn?: (message: string) => void;
}

/** What a job takes for debian, which it found to be `own` itself. */
async function job(own: External, { clock, registry, at = 0, run = '4711', ...other }: Job): Promise<Result<unknown>> {
  await clock.sleep(at, never);
  const { meet, warn = () => undefined, repository = 'o/app' } = other;
  const agreement = { run, registry: registry.client(meet), registryAddress: 'r.example', warn };
  const agreed = await agreeOn(new Map([[debian, own]]), repository, agreement, clock, never);
  return agreed.ok ? { ok: true, value: agreed.value.get(debian) } : agreed;
}

function world(): Job & { counts: Partial<Record<Operation, number>> } {
  const counts: Partial<Record<Operation, number>> = {};
  const clock = createVirtualClock(0, () => 0.5);
  const meet = (operation: Operation): Fault => {
    counts[operation] = (counts[operation] ?? 0) + 1;
    return undefined;
  };
  return { clock, registry: createSimulatedRegistry(), counts, meet };
}

test('the second takes what the first has found, with one request', async () => {
  const { counts, ...both } = world();
  expect(await both.clock.run(job(digestOf('old'), both))).toEqual({ ok: true, value: digestOf('old') });
  expect(counts).toEqual({ get: 2, put: 1 });
  expect(await both.clock.run(job(digestOf('new'), both))).toEqual({ ok: true, value: digestOf('old') });
  expect(counts).toEqual({ get: 3, put: 1 });
});

test.each([
  { apart: 0, slow: 0 },
  { apart: 5, slow: 0 },
  { apart: 0, slow: 20 },
  { apart: 15, slow: 20 },
  { apart: 20, slow: 20 },
  { apart: 100, slow: 400 },
  { apart: 1999, slow: 0 },
])('two that begin $apart ms apart have the same, where a request takes $slow ms', async ({ apart, slow }) => {
  const { counts: _, ...both } = world();
  const meet = async (): Promise<Fault> => {
    await both.clock.sleep(slow, never);
    return undefined;
  };
  const [one, two] = await both.clock.run(
    Promise.all([job(digestOf('old'), { ...both, meet }), job(digestOf('new'), { ...both, meet, at: apart })]),
  );
  expect(one).toEqual(two);
  expect([digestOf('old'), digestOf('new')]).toContainEqual(one.ok && one.value);
});

test('one that could not find it out itself takes what another has, and leaves no word itself', async () => {
  const both = world();
  const why = { why: 'its registry says nothing' };
  expect(await both.clock.run(job(why, both))).toEqual({ ok: true, value: why });
  expect(both.counts).toEqual({ get: 1 });
  await both.clock.run(job(digestOf('old'), both));
  expect(await both.clock.run(job(why, both))).toEqual({ ok: true, value: digestOf('old') });
});

test('another run, and another repository, have their own', async () => {
  const both = world();
  await both.clock.run(job(digestOf('old'), both));
  for (const other of [{ run: '4712' }, { repository: 'o/other' }])
    expect(await both.clock.run(job(digestOf('new'), { ...both, ...other }))).toEqual({
      ok: true,
      value: digestOf('new'),
    });
});

test('a registry that does not keep it is told of, and each job has its own; one that does not answer is a failure', async () => {
  const both = world();
  const warnings: string[] = [];
  const refusing =
    (transient: boolean) =>
    (operation: Operation): Fault =>
      operation === 'put'
        ? { when: 'before', failure: { kind: 'registry', transient, status: 400, message: 'immutable' } }
        : undefined;
  const told = { ...both, warn: (message: string) => void warnings.push(message) };
  expect(await both.clock.run(job(digestOf('own'), { ...told, meet: refusing(false) }))).toEqual({
    ok: true,
    value: digestOf('own'),
  });
  expect(warnings).toEqual([expect.stringContaining('immutable')]);
  expect(await both.clock.run(job(digestOf('own'), { ...told, meet: refusing(true) }))).toMatchObject(
    fail({ kind: 'registry', transient: true, status: 400, message: 'immutable' }),
  );
});

test('what lies there and is no such word is not taken for one', async () => {
  const both = world();
  const { registry, clock } = both;
  const bytes = Buffer.from(
    JSON.stringify({ schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json', manifests: [] }),
  );
  const at = { registry: 'r.example', repository: 'o/app', tag: noteTag('4711', debian) };
  await registry.client().putManifest(at, bytes, 'application/vnd.oci.image.index.v1+json', never);
  expect(await clock.run(job(digestOf('own'), both))).toMatchObject({ ok: false, failure: { kind: 'verification' } });
});

test('its name is fit for a tag, however long the run’s', () => {
  expect(noteTag('r'.repeat(100), debian)).toMatch(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/);
});
