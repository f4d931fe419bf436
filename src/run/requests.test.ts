// What a run costs a registry: all its requests, counted where they would go out. The engines' own pushes are not among them.
import { beforeEach, describe, expect, test } from 'vitest';
import { createSimulatedEngine } from '../engine/simulated.ts';
import { ok } from '../failure.ts';
import { assembleFleet } from '../fleet/fleet.ts';
import { usualHealth } from '../fleet/health.ts';
import { sha256 } from '../image/digest.ts';
import { formatPlatform, type Platform } from '../image/platform.ts';
import type { BuildTask, Plan, Task } from '../plan/plan.ts';
import { rememberedRegistry } from '../registry/remembered.ts';
import { createSimulatedRegistry, type SimulatedRegistry } from '../registry/simulated.ts';
import { createVirtualClock } from '../virtual-clock.ts';
import type { RunContext } from './context.ts';
import type { Emit, Event } from './event.ts';
import { execute } from './execute.ts';
import { replayHistory } from './journal.ts';
import type { KeptParts, PartsStore } from './keys-parts.ts';
import { findReusable } from './keys-survey.ts';
import { lookAtPublished } from './published.ts';

const platforms: Platform[] = [
  { os: 'linux', architecture: 'amd64' },
  { os: 'linux', architecture: 'arm64' },
];

function familyOf(count: number, publish: Plan['publish']): Plan {
  const tasks = Array.from({ length: count }, (_, number): Task[] => {
    const image = `image${number}`;
    const repository = `team/${image}`;
    const builds = platforms.map((platform): BuildTask => {
      const id = `build ${image} ${formatPlatform(platform)}`;
      return {
        ...{ kind: 'build', id, image, platform, mode: 'native', repository, context: '/', dockerfile: '/Dockerfile' },
        ...{ args: {}, secrets: [], upstreams: [], needs: [] },
      };
    });
    const joined: Task = {
      ...{ kind: 'publish', id: `publish ${image}`, image, repository, tags: ['latest'] },
      audit: { mode: 'stop', allow: [] },
      builds: builds.map(({ id, platform }) => ({
        ...{ task: id, platform, archTags: [`latest-${platform.architecture}`] },
      })),
      needs: builds.map(({ id }) => id),
    };
    return [...builds, joined];
  });
  return { version: 1, family: 'f', publish, failedPlatform: 'hold', gates: [], tasks: tasks.flat() };
}

interface Ran {
  /** Requests by kind. */
  counts: Record<string, number>;
  /** Calls of engines. */
  engine: number;
  outcome: string;
}

/** One run, as the command makes it. `parts`: what the machine has noted of its builds. */
async function runOn(
  registry: SimulatedRegistry,
  plan: Plan,
  id: string,
  parts: PartsStore,
  emit: Emit = () => undefined,
): Promise<Ran> {
  const clock = createVirtualClock(0, () => 0.5);
  const counts: Record<string, number> = {};
  let engineCalls = 0;
  const never = new AbortController().signal;
  const fleet = await assembleFleet(
    [
      {
        name: 'one',
        endpoint: 'sim://one',
        open: async () => {
          const engine = createSimulatedEngine({
            ...{ name: 'one', machine: { os: 'linux', architecture: 'amd64' }, cpus: 2, clock },
            registry: registry.client(),
            onBuild: () => {
              engineCalls += 1;
              return { durationMs: 1000 };
            },
            onRun: () => {
              engineCalls += 1;
              return undefined;
            },
          });
          const probed = clock.run(engine.probe(never));
          const info = await probed;
          if (!info.ok) return info;
          const builder = {
            ...{ name: 'one', endpoint: 'sim://one', engine, info: info.value, native: platforms, emulated: [] },
            ...{ slots: 64, registryAddress: 'r.example' },
          };
          return ok({ builder, close: async () => undefined });
        },
      },
    ],
    platforms.map((platform) => ({ platform, mode: 'native' })),
    { clock, health: usualHealth },
    never,
  );
  if (!fleet.ok) throw new Error(JSON.stringify(fleet.failure));
  const world: Omit<RunContext, 'fleet'> = {
    ...{ id, shared: false, registryAddress: 'r.example', plainHttp: true, embedded: false, force: false },
    registry: rememberedRegistry(
      registry.client((operation) => {
        counts[operation] = (counts[operation] ?? 0) + 1;
        return undefined;
      }),
    ),
    ...{ emit, clock, env: {} },
    readInputs: async ({ image }) => ok({ dockerfile: `FROM ${image}\n`, ignore: undefined, context: sha256(image) }),
    audit: async () => ok([]),
    runGate: async () => ok(undefined),
  };
  const history = replayHistory([], 'f');
  const run = async (): Promise<string> => {
    const look = lookAtPublished(plan, world, (task) => parts.read(task) !== undefined, never);
    const { found } = await findReusable(plan, { ...world, parts, look }, history, never);
    const context: RunContext = { ...world, fleet: fleet.value, found, look, keepParts: parts.keep };
    return execute(plan, context, history, never, { publish: true, build: true });
  };
  const outcome = await clock.run(run());
  return { counts, engine: engineCalls, outcome };
}

/** What a machine has noted, without its disk. */
function notes(): PartsStore {
  const kept = new Map<string, KeptParts>();
  return { read: ({ id }) => kept.get(id), keep: async ({ id }, one) => void kept.set(id, one) };
}

/** Counts by kind, of so many images. */
function times(count: number, each: Record<string, number>): Record<string, number> {
  return Object.fromEntries(Object.entries(each).map(([kind, number]) => [kind, number * count]));
}

// For one image of two platforms that have one layer, the same, and two arch tags beside its tag.
const firstTime = {
  // Where two arch tags are when the run begins; where three tags are before they move, and once more when they have.
  head: 2 + 3 + 3,
  // The tag, of which nothing is known; the record of the last publication; for each platform, what lies under its key when the run begins
  // and again before it is built, and what the engine pushed.
  get: 1 + 1 + 4 + 2,
  // Each platform's config, and whether the layer is there.
  blob: 2 + 1,
  // Each platform's key, the joined index, the record of this publication, and three tags.
  put: 2 + 1 + 1 + 3,
};

test.each([
  [1, 'image'],
  [20, 'image'],
  [20, 'family'],
] as const)('publishing %i images by %s takes no request that is not needed', async (count, publish) => {
  const { counts, outcome } = await runOn(createSimulatedRegistry(), familyOf(count, publish), 'one', notes());
  expect(outcome).toBe('done');
  expect(counts).toEqual(times(count, firstTime));
});

describe.each(['image', 'family'] as const)('a run after which nothing has changed, by %s,', (publish) => {
  const plan = familyOf(20, publish);
  let registry: SimulatedRegistry;
  let state: PartsStore;
  beforeEach(async () => {
    registry = createSimulatedRegistry();
    state = notes();
    await runOn(registry, plan, 'one', state);
  });
  const at = { registry: 'r.example', repository: 'team/image7' };
  const never = new AbortController().signal;

  test('asks where the tags are, and nothing else', async () => {
    const before = tagsOf(registry);
    expect(await runOn(registry, plan, 'two', state)).toEqual({ counts: { head: 20 * 3 }, engine: 0, outcome: 'done' });
    expect(tagsOf(registry)).toEqual(before);
  });

  test('asks for the index and for what lies under two keys besides, where it has noted nothing', async () => {
    const elsewhere = notes();
    const counts = { head: 20 * 2, get: 20 * (1 + 2) };
    expect(await runOn(registry, plan, 'two', elsewhere)).toEqual({ counts, engine: 0, outcome: 'done' });
    expect(await runOn(registry, plan, 'three', elsewhere)).toMatchObject({ counts: { head: 20 * 3 }, engine: 0 });
  });

  test('puts a tag back that was moved away, without an engine', async () => {
    const before = tagsOf(registry);
    const other = await registry.client().getManifest({ ...at, tag: 'latest-amd64' }, never);
    if (!other.ok) throw new Error('gone');
    const { bytes, descriptor } = other.value;
    await registry.client().putManifest({ ...at, tag: 'latest' }, bytes, descriptor.mediaType, never);
    const { counts, engine, outcome } = await runOn(registry, plan, 'two', state);
    expect({ engine, outcome }).toEqual({ engine: 0, outcome: 'done' });
    expect(publicTags(tagsOf(registry))).toEqual(publicTags(before));
    // The joined index under the run's name, the record, the tag.
    expect(counts.put).toBe(3);
    // Of three tags: again before they move; and the one that has.
    expect(counts.head).toBe(20 * 3 + 3 + 1);
  });

  test('puts an arch tag back that was moved away: what lies under its key is looked at', async () => {
    const before = tagsOf(registry);
    const other = await registry.client().getManifest({ ...at, tag: 'latest-amd64' }, never);
    if (!other.ok) throw new Error('gone');
    const { bytes, descriptor } = other.value;
    await registry.client().putManifest({ ...at, tag: 'latest-arm64' }, bytes, descriptor.mediaType, never);
    expect(await runOn(registry, plan, 'two', state)).toMatchObject({ engine: 0, outcome: 'done' });
    expect(publicTags(tagsOf(registry))).toEqual(publicTags(before));
  });

  test.each(['noted', 'not noted'])('builds an image anew that is gone from the registry, and was %s', async (how) => {
    const digest = registry.tags('team/image7').get('latest-arm64') ?? '';
    expect((await registry.client().deleteManifest({ ...at, digest }, never)).ok).toBe(true);
    const done = await runOn(registry, plan, 'two', how === 'noted' ? state : notes());
    expect(done).toMatchObject({ engine: 1, outcome: 'done' });
    expect(registry.tags('team/image7').get('latest-arm64')).toBe(digest);
    expect((await registry.client().headManifest({ ...at, digest }, never)).ok).toBe(true);
  });

  test('ends what another machine was killed in the middle of', async () => {
    const newer = notes();
    const changed = {
      ...plan,
      tasks: plan.tasks.map((task) => (task.kind === 'build' ? { ...task, args: { A: '1' } } : task)),
    };
    const before = publicTags(tagsOf(registry));
    await runOn(registry, changed, 'two', newer);
    expect(publicTags(tagsOf(registry))).not.toEqual(before);
    // The main tag of one image back where it was: what a run leaves that is killed before its last move.
    const old = before.find((line) => line.startsWith('team/image7:latest '))?.split(' ')[1] ?? '';
    const index = await registry.client().getManifest({ ...at, digest: old }, never);
    if (!index.ok) throw new Error('gone');
    await registry
      .client()
      .putManifest({ ...at, tag: 'latest' }, index.value.bytes, index.value.descriptor.mediaType, never);
    const events: Event[] = [];
    const third = await runOn(registry, changed, 'three', newer, (event) => void events.push(event));
    expect(third).toMatchObject({ engine: 0, outcome: 'done' });
    expect(events.filter(({ type }) => type === 'publish-recovered')).toMatchObject([
      { run: 'two', outcome: 'published' },
    ]);
    expect(registry.tags('team/image7').get('latest')).not.toBe(old);
  });
});

/** Every tag of the family with what it points at. */
function tagsOf(registry: SimulatedRegistry): string[] {
  return Array.from({ length: 20 }, (_, number) => `team/image${number}`).flatMap((name) =>
    [...registry.tags(name)].map(([tag, to]) => `${name}:${tag} ${to}`),
  );
}

/** Those that people pull by. */
function publicTags(tags: string[]): string[] {
  return tags.filter((line) => /:latest(-[a-z0-9]+)? /.test(line)).sort();
}
