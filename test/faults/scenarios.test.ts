// Single troubles, one at a time, in the simulated world: what each does to a run, and to what is published.
import { describe, expect, test } from 'vitest';
import { indexSchema } from '../../src/image/oci.ts';
import type { Event } from '../../src/run/event.ts';
import { architectures, images, repositoryOf, tag } from './family.ts';
import { simulateSchedule } from './simulate.ts';
import type { Policies } from './simulated-plan.ts';
import { createWorld, type EndedRun, noTrouble, type Trouble, type World } from './simulated-world.ts';

const [first = ''] = architectures;
const usual: Policies = { publish: 'image', failedPlatform: 'hold', tested: new Set(), gated: false };

/** A release of version 1, and then one of version 2 in trouble. */
async function through(
  policies: Partial<Policies>,
  trouble: Partial<Trouble>,
): Promise<{ world: World; before: string; run: EndedRun }> {
  const world = createWorld('scenario', { ...usual, ...policies });
  expect((await world.run(1, noTrouble)).outcome).toBe('done');
  const before = published(world);
  return { world, before, run: await world.run(2, { ...noTrouble, ...trouble }) };
}

function published(world: World): string {
  return images.map((image) => digestOf(world, image)).join(' ');
}

function digestOf(world: World, image: string, name = tag): string {
  return world.registry.tags(repositoryOf(image)).get(name) ?? 'none';
}

function failures({ events }: EndedRun): string[] {
  return events.flatMap((event: Event) => (event.type === 'task-failed' && !event.willRetry ? [event.task] : []));
}

describe('a build that really fails', () => {
  const failing = new Set([`c ${first}`]);

  test('is not tried again, and holds its image and what is built on it', async () => {
    const { world, run } = await through({}, { failing });
    expect(run.outcome).toBe('failed');
    expect(failures(run)).toEqual([`build c linux/${first}`]);
    const old = await through({}, noTrouble);
    expect(digestOf(world, 'a')).toBe(digestOf(old.world, 'a'));
    for (const image of ['c', 'f']) expect(digestOf(world, image)).not.toBe(digestOf(old.world, image));
  });

  test('holds the whole family where that is published as one', async () => {
    const { world, before } = await through({ publish: 'family' }, { failing });
    expect(published(world)).toBe(before);
  });

  test('has the last good image of its platform carried forward, annotated, where the policy says so', async () => {
    const { world, run } = await through({ failedPlatform: 'carry' }, { failing });
    expect(run.outcome).toBe('failed');
    const client = world.registry.client();
    const reference = { registry: 'registry.example:5000', repository: repositoryOf('c'), tag };
    const index = await client.getManifest(reference, new AbortController().signal);
    if (!index.ok) throw new Error(JSON.stringify(index.failure));
    const { manifests } = indexSchema.parse(index.value.content);
    const carried = manifests.filter(({ annotations }) => annotations?.['dev.splitbuild.carried'] !== undefined);
    expect(carried.map(({ platform, digest }) => [platform?.architecture, digest])).toEqual([
      [first, digestOf(world, 'c', `${tag}-${first}`)],
    ]);
    expect(manifests).toHaveLength(2);
  });
});

describe('before it is public', () => {
  test('a test that says no holds the image, and not what is built on it', async () => {
    const { world, before, run } = await through({ tested: new Set(['a']) }, { untested: new Set(['a']) });
    expect(failures(run).sort()).toEqual(architectures.map((architecture) => `test a linux/${architecture}`).sort());
    expect(digestOf(world, 'a')).toBe(before.split(' ')[images.indexOf('a')]);
    expect(digestOf(world, 'c')).not.toBe(before.split(' ')[images.indexOf('c')]);
  });

  test('a gate that says no holds what it is asked about', async () => {
    const { world, before, run } = await through({ gated: true }, { gateSaysNo: true });
    expect(failures(run).sort()).toEqual(images.map((image) => `publish ${image}`).sort());
    expect(published(world)).toBe(before);
  });

  test('an image that passed is not tested again by the run that goes on', async () => {
    const { world } = await through(
      { tested: new Set(['a']), publish: 'family' },
      { failing: new Set([`g ${first}`]) },
    );
    const { events, outcome } = await world.run(2, noTrouble);
    expect(outcome).toBe('done');
    const tests = events.filter((event) => 'task' in event && event.task?.startsWith('test a'));
    expect(tests.map(({ type }) => type)).toEqual(['task-reused', 'task-reused']);
  });
});

describe('a program of another machine in a layer', () => {
  const started = ({ events }: EndedRun): string[] =>
    events.flatMap((event) => (event.type === 'task-started' && event.builder ? [event.task] : []));

  test('that an engine’s cache brought there is gone when the image is built once more, past the cache', async () => {
    const stray = { build: `g ${first}`, always: false };
    const { world, before, run } = await through({}, { stray });
    expect(failures(run)).toEqual(['publish g']);
    expect(digestOf(world, 'g')).toBe(before.split(' ')[images.indexOf('g')]);
    const again = await world.run(2, { ...noTrouble, stray });
    expect(started(again)).toEqual([`build g linux/${first}`]);
    expect(again.outcome).toBe('done');
  });

  test('that the Dockerfile brings there is built anew once, and not for ever', async () => {
    const stray = { build: `g ${first}`, always: true };
    const { world } = await through({}, { stray });
    expect(started(await world.run(2, { ...noTrouble, stray }))).toEqual([`build g linux/${first}`]);
    const third = await world.run(2, { ...noTrouble, stray });
    expect(started(third)).toEqual([]);
    expect(failures(third)).toEqual(['publish g']);
  });
});

describe('a builder', () => {
  test('that dies has its tasks done by others', async () => {
    const { run } = await through({}, { engines: [{ host: 'one', from: 1000, to: 600_000, state: 'dead' }] });
    expect(run.outcome).toBe('done');
    expect(run.events.some((event) => event.type === 'builder-lost' && event.builder === 'one')).toBe(true);
    const later = run.events.filter((event) => event.type === 'task-started' && event.builder === 'one');
    expect(later.length).toBeLessThanOrEqual(2);
  });

  test('that hangs is found out, and comes back', async () => {
    const { run } = await through({}, { engines: [{ host: 'one', from: 1000, to: 60_000, state: 'frozen' }] });
    expect(run.outcome).toBe('done');
    const health = run.events.flatMap(({ type }) => (type === 'builder-lost' || type === 'builder-back' ? [type] : []));
    expect(health).toEqual(['builder-lost', 'builder-back']);
  });
});

test('a tag that somebody else moves meanwhile is left to them, and the run says so', async () => {
  const { world, run } = await through({}, { rival: { image: 'g', at: 10_000 } });
  expect(run.outcome).toBe('failed');
  const failed = run.events.find((event) => event.type === 'task-failed');
  expect(failed).toMatchObject({ task: 'publish g', failure: { kind: 'conflict' } });
  expect((await world.run(2, noTrouble)).outcome).toBe('done');
});

test('a registry that fails now and then costs time and nothing else', async () => {
  const { run } = await through(
    {},
    { registry: { chance: 0.03, kinds: ['before', 'after', 'slow'], from: 0, to: 600_000 } },
  );
  expect(run.outcome).toBe('done');
  expect([...run.injected.values()].reduce((sum, count) => sum + count, 0)).toBeGreaterThan(5);
});

test('hundreds of schedules of troubles leave nothing half published, broken or built twice', async () => {
  const bad: string[] = [];
  for (let number = 0; number < 240; number += 1) {
    const { violations } = await simulateSchedule('test', number);
    bad.push(...violations.map((what) => `${number}: ${what}`));
  }
  expect(bad).toEqual([]);
});
