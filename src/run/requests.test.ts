// What publishing costs a registry: requests of a whole run, counted where they would go out. The engines' own pushes are not among them.
import { expect, test } from 'vitest';
import { createSimulatedEngine } from '../engine/simulated.ts';
import { ok } from '../failure.ts';
import { assembleFleet } from '../fleet/fleet.ts';
import { usualHealth } from '../fleet/health.ts';
import { sha256 } from '../image/digest.ts';
import { formatPlatform, type Platform } from '../image/platform.ts';
import type { BuildTask, Plan, Task } from '../plan/plan.ts';
import { rememberedRegistry } from '../registry/remembered.ts';
import { createSimulatedRegistry } from '../registry/simulated.ts';
import { createVirtualClock } from '../virtual-clock.ts';
import type { RunContext } from './context.ts';
import { execute } from './execute.ts';
import { replayHistory } from './journal.ts';

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

/** Requests by kind of a run that publishes a family for the first time. */
async function requestsOf(plan: Plan): Promise<Record<string, number>> {
  const clock = createVirtualClock(0, () => 0.5);
  const registry = createSimulatedRegistry();
  const counts: Record<string, number> = {};
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
            onBuild: () => ({ durationMs: 1000 }),
            onRun: () => undefined,
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
  const context: RunContext = {
    ...{ id: 'run', shared: false, registryAddress: 'r.example', plainHttp: true, embedded: false, force: false },
    registry: rememberedRegistry(
      registry.client((operation) => {
        counts[operation] = (counts[operation] ?? 0) + 1;
        return undefined;
      }),
    ),
    ...{ fleet: fleet.value, emit: () => undefined, clock, env: {} },
    readInputs: async ({ image }) => ok({ dockerfile: 'FROM scratch\n', ignore: undefined, context: sha256(image) }),
    audit: async () => ok([]),
    runGate: async () => ok(undefined),
  };
  const outcome = await clock.run(
    execute(plan, context, replayHistory([], 'f'), never, { publish: true, build: true }),
  );
  expect(outcome).toBe('done');
  return counts;
}

// For one image of two platforms that have one layer, the same, and two arch tags beside its tag.
const perImage = {
  // Where three tags are when the run begins, again before they move, and once more when they have.
  head: 3 + 3 + 3,
  // The record of the last publication; for each platform, what lies under its key, and what the engine pushed.
  get: 1 + 2 + 2,
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
  const counts = await requestsOf(familyOf(count, publish));
  expect(counts).toEqual(Object.fromEntries(Object.entries(perImage).map(([kind, number]) => [kind, number * count])));
});
