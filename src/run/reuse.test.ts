// Nothing is built twice: runs one after the other, on one registry, with what the first leaves there and nothing else.
import { beforeEach, expect, test } from 'vitest';
import { createSimulatedEngine } from '../engine/simulated.ts';
import { fail, ok } from '../failure.ts';
import { assembleFleet } from '../fleet/fleet.ts';
import { usualHealth } from '../fleet/health.ts';
import { sha256 } from '../image/digest.ts';
import { formatPlatform, type Platform } from '../image/platform.ts';
import type { BuildTask, Plan, Task } from '../plan/plan.ts';
import { rememberedRegistry } from '../registry/remembered.ts';
import { createSimulatedRegistry, type SimulatedRegistry } from '../registry/simulated.ts';
import { createVirtualClock, type VirtualClock } from '../virtual-clock.ts';
import type { BuildInputs } from './build-inputs.ts';
import type { RunContext } from './context.ts';
import type { Event } from './event.ts';
import { execute } from './execute.ts';
import { replayHistory } from './journal.ts';

const platforms: Platform[] = [
  { os: 'linux', architecture: 'amd64' },
  { os: 'linux', architecture: 'arm64' },
];
const dockerfiles: Record<string, string> = { base: 'FROM debian:12\n', app: 'FROM o/base\n' };

function planOf(): Plan {
  const tasks = ['base', 'app'].flatMap((image): Task[] => {
    const repository = `o/${image}`;
    const idOf = (name: string, platform: Platform): string => `build ${name} ${formatPlatform(platform)}`;
    const builds = platforms.map((platform): BuildTask => {
      const range = { start: 5, end: image === 'app' ? 11 : 14 };
      const needs = image === 'app' ? [idOf('base', platform)] : [];
      return {
        ...{ kind: 'build', id: idOf(image, platform), image, platform, mode: 'native', repository, context: '/' },
        ...{ dockerfile: '/Dockerfile', args: {}, secrets: [], needs },
        upstreams: needs.map((task) => ({ task, reference: 'docker.io/o/base', range })),
        ...(image === 'base' ? { externals: [{ reference: 'docker.io/library/debian:12', range }] } : {}),
      };
    });
    const tests = builds.map(
      ({ id, platform }): Task => ({
        ...{ kind: 'test', id: id.replace('build', 'test'), image, platform, mode: 'native', repository, build: id },
        ...{ commands: ['true'], needs: [id] },
      }),
    );
    return [
      ...builds,
      ...tests,
      {
        ...{ kind: 'publish', id: `publish ${image}`, image, repository, tags: ['latest'] },
        audit: { mode: 'stop', allow: [] },
        builds: builds.map(({ id, platform }) => ({
          task: id,
          platform,
          archTags: [`latest-${platform.architecture}`],
        })),
        needs: [...builds, ...tests].map(({ id }) => id),
      },
    ];
  });
  return { version: 1, family: 'f', publish: 'image', failedPlatform: 'hold', gates: [], tasks };
}

let clock: VirtualClock;
let registry: SimulatedRegistry;
let debian: string | undefined;
let version: number;
beforeEach(() => {
  clock = createVirtualClock(0, () => 0.5);
  registry = createSimulatedRegistry();
  debian = sha256('debian');
  version = 1;
});

interface Ran {
  outcome: string;
  /** Tasks that a builder did. */
  done: string[];
  events: Event[];
  noCaches: (boolean | undefined)[];
  leases: number;
}

async function run(id: string, other: Partial<RunContext> = {}, failing?: string): Promise<Ran> {
  const events: Event[] = [];
  const noCaches: (boolean | undefined)[] = [];
  const never = new AbortController().signal;
  let leases = 0;
  const engine = createSimulatedEngine({
    ...{ name: 'one', machine: { os: 'linux', architecture: 'amd64' }, cpus: 2, clock, registry: registry.client() },
    onBuild: ({ noCache, reference }) => {
      noCaches.push(noCache);
      const fails = failing !== undefined && reference?.includes(failing);
      return fails
        ? { durationMs: 1, failure: { kind: 'build', exitCode: 1, log: [], message: 'it fails' } }
        : { durationMs: 1000 };
    },
    onRun: () => undefined,
  });
  const info = {
    engine: 'docker',
    version: '',
    client: '',
    machine: { os: 'linux', architecture: 'amd64' },
    cpus: 2,
  } as const;
  const builder = { name: 'one', endpoint: 'sim://one', engine, info, native: platforms, emulated: [], slots: 4 };
  const opened = { builder: { ...builder, registryAddress: 'r.example' }, close: async () => undefined };
  const sources = [{ name: 'one', endpoint: 'sim://one', open: async () => ok(opened) }];
  const fleet = await assembleFleet(sources, [], { clock, health: usualHealth }, never);
  if (!fleet.ok) throw new Error(JSON.stringify(fleet.failure));
  const { acquire } = fleet.value;
  const counted: typeof acquire = (...args) => {
    leases += 1;
    return acquire(...args);
  };
  const inputs = (image: string): BuildInputs => ({
    ...{ dockerfile: dockerfiles[image] ?? '', ignore: undefined, context: sha256(`${image} ${version}`) },
    externals: new Map([['docker.io/library/debian:12', debian ? { digest: debian } : { why: 'no network' }]]),
  });
  const context: RunContext = {
    ...{
      id,
      shared: false,
      registryAddress: 'r.example',
      plainHttp: true,
      embedded: true,
      force: false,
      clock,
      env: {},
    },
    fleet: { ...fleet.value, acquire: counted },
    emit: (event) => void events.push(event),
    readInputs: async ({ image }) => ok(inputs(image)),
    audit: async () => ok([]),
    runGate: async () => ok(undefined),
    ...other,
    registry: rememberedRegistry(other.registry ?? registry.client()),
  };
  const outcome = await clock.run(
    execute(planOf(), context, replayHistory([], 'f'), never, { publish: true, build: true }),
  );
  await fleet.value.close();
  const done = events.flatMap((event) =>
    event.type === 'task-finished' && !event.task.startsWith('publish') ? [event.task] : [],
  );
  return { outcome, done: done.sort(), events, noCaches, leases };
}

const builds = planOf()
  .tasks.flatMap(({ id, kind }) => (kind === 'publish' ? [] : [id]))
  .sort();
const tags = (): string[] =>
  ['o/base', 'o/app'].flatMap((name) => [...registry.tags(name)].map(([tag, to]) => `${name}:${tag} ${to}`));

test('another machine, which knows nothing of the first, builds and tests nothing, and asks no builder', async () => {
  expect((await run('one')).done).toEqual(builds);
  const before = tags().filter((tag) => !tag.includes('splitbuild-key'));
  const second = await run('two');
  expect(second).toMatchObject({ outcome: 'done', done: [], leases: 0 });
  expect(tags().filter((tag) => !tag.includes('splitbuild-key'))).toEqual(before);
});

test('where nothing has changed, nothing is written, and each image is looked at once', async () => {
  await run('one');
  const asked: string[] = [];
  const counted = registry.client((operation) => void asked.push(operation));
  const second = await run('two', { registry: counted });
  expect(second.events.flatMap((event) => (event.type === 'task-reused' ? [event.task] : []))).toContain('publish app');
  const counts = Object.fromEntries(
    [...Map.groupBy(asked, (operation) => operation)].map(([name, all]) => [name, all.length]),
  );
  // Two images. Heads: three tags, two tests. Gets: two keys, the record of the last publication. Blobs: two configs.
  expect(counts).toEqual({ head: 2 * (3 + 2), get: 2 * (2 + 1), blob: 2 * 2 });
});

test('what was staged is gone after the run, and its keys are not', async () => {
  await run('one');
  const names = [...registry.tags('o/base').keys()];
  expect(names.filter((name) => name.startsWith('one'))).toEqual([]);
  // Two builds and two tests.
  expect(names.filter((name) => name.startsWith('splitbuild-key-'))).toHaveLength(4);
});

test('a tag that somebody moved away goes back without anything being built', async () => {
  await run('one');
  const published = registry.tags('o/app').get('latest');
  const client = registry.client();
  const never = new AbortController().signal;
  const other = await client.getManifest({ registry: 'r', repository: 'o/app', tag: 'latest-amd64' }, never);
  if (!other.ok) throw new Error('gone');
  const { bytes, descriptor } = other.value;
  await client.putManifest({ registry: 'r', repository: 'o/app', tag: 'latest' }, bytes, descriptor.mediaType, never);
  const second = await run('two');
  expect(second).toMatchObject({ outcome: 'done', leases: 0 });
  expect(registry.tags('o/app').get('latest')).toBe(published);
});

test('with no cache, all is built anew, and the engines are told', async () => {
  await run('one');
  const second = await run('two', { noCache: true });
  expect(second.done).toEqual(builds);
  expect(second.noCaches).toEqual([true, true, true, true]);
});

test('a base of somebody else that has moved is built on anew', async () => {
  await run('one');
  debian = sha256('debian, mended');
  expect((await run('two')).done).toEqual(builds);
  debian = sha256('debian');
  expect((await run('three')).leases).toBe(0);
});

test('on a base that is not known by digest, each run builds anew, and says so once', async () => {
  debian = undefined;
  const first = await run('one');
  const warnings = first.events.flatMap((event) => (event.type === 'warning' ? [event.message] : []));
  expect(warnings).toEqual([expect.stringMatching(/debian:12 is not pinned .*: no network$/)]);
  // What the engine made of it is the same: what is built on that is not built again.
  expect((await run('two')).done.filter((task) => task.startsWith('build'))).toEqual([
    'build base linux/amd64',
    'build base linux/arm64',
  ]);
});

test('what a run that failed has done is there for every other', async () => {
  const first = await run('one', {}, 'o/app');
  expect(first.outcome).toBe('failed');
  const second = await run('two');
  expect(second.outcome).toBe('done');
  expect(second.done.filter((task) => task.includes('base'))).toEqual([]);
});

test('files that change while they are built leave no key', async () => {
  let reads = 0;
  const changing = async ({ image }: BuildTask) => {
    reads += 1;
    return ok({ dockerfile: 'FROM scratch', ignore: undefined, context: sha256(`${image} ${reads}`) });
  };
  const plain = await run('one', { readInputs: changing });
  expect(plain.outcome).toBe('done');
  const names = [...registry.tags('o/base').keys()];
  // The tests' alone: what was tested is known by its digest.
  expect(names.filter((name) => name.startsWith('splitbuild-key-'))).toHaveLength(2);
  expect(plain.events.filter(({ type }) => type === 'warning')).toHaveLength(4);
});

test('what lies under a key and is of another platform is not taken', async () => {
  await run('one');
  const client = registry.client();
  const never = new AbortController().signal;
  const other = await client.getManifest({ registry: 'r', repository: 'o/base', tag: 'latest-arm64' }, never);
  if (!other.ok) throw new Error('gone');
  const amd = registry.tags('o/base').get('latest-amd64');
  const [tag = ''] =
    [...registry.tags('o/base')].find(([name, to]) => name.startsWith('splitbuild-key') && to === amd) ?? [];
  const { bytes, descriptor } = other.value;
  for (const [name, to] of registry.tags('o/base'))
    if (name.startsWith('splitbuild-key') && to === amd)
      await client.putManifest({ registry: 'r', repository: 'o/base', tag: name }, bytes, descriptor.mediaType, never);
  expect(tag).not.toBe('');
  const second = await run('two');
  expect(second.done.filter((task) => task.startsWith('build'))).toEqual(['build base linux/amd64']);
  expect(second.events.some((event) => event.type === 'warning' && event.message.includes('built anew'))).toBe(true);
});

test('a registry that keeps no such tags costs the reuse alone', async () => {
  const client = registry.client();
  const refusing: RunContext['registry'] = {
    ...client,
    putManifest: async (reference, ...rest) =>
      reference.tag?.startsWith('splitbuild-key-')
        ? fail({ kind: 'registry', transient: false, status: 403, message: 'tags are immutable' })
        : client.putManifest(reference, ...rest),
  };
  const first = await run('one', { registry: refusing });
  expect(first.outcome).toBe('done');
  expect((await run('two', { registry: refusing })).done).toEqual(builds);
});

test('processes of one run have what the run has, and find what others built under its name too', async () => {
  await run('one');
  const second = await run('ci-7', { shared: true });
  expect(second.leases).toBe(0);
  expect([...registry.tags('o/base').keys()].filter((name) => name.startsWith('ci-7')).sort()).toEqual([
    'ci-7-amd64',
    'ci-7-arm64',
  ]);
  // A base that moves between two jobs of the run is not for this run.
  debian = sha256('debian, mended');
  expect((await run('ci-7', { shared: true })).leases).toBe(0);
});
