// A family of ten images, four deep, for two platforms, on two engines that have one core each: splitbuild against the engine's own bare
// commands, and against the ways in which such families are built today.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { images, inWorld, parents, platforms, type World } from './family-world.ts';
import type { Measurement } from './measurement.ts';
import { goProgram, type Program, splitbuild, timed } from './peers.ts';
import { type Contestant, takeTurns } from './turns.ts';

export function measureCriticalPath(rounds = 5): Promise<Measurement> {
  // Builds of about four seconds: short for builds, and long enough that what is measured is not how quickly programs start.
  return inWorld(2, async (world) => {
    const bare = { name: 'docker build, docker push', version: '', run: () => stopwatch(() => bareCommands(world)) };
    const turns = await takeTurns([ours(world), bare], rounds);
    return {
      name: 'family of ten images, two native platforms',
      ...turns,
      unit: 'ms',
      target: 'within 1.03 × the bare commands',
      reached: ({ ours: own, peers: [first = 0] }) => own <= 1.03 * first,
      note: 'Four deep; each builder has one core and one slot, so the critical path is all builds of a platform. The bare commands are what it takes at least: build and push, one after the other, for each platform on its own engine, with the engine never waiting. splitbuild also starts, plans, reads back, joins, verifies, audits and publishes, and pushes beside the next build.',
    };
  });
}

export function measureOthers(rounds = 5): Promise<Measurement> {
  return inWorld(1, async (world) => {
    const chain: Contestant = {
      ...{ name: 'chain through manifests', version: '', rounds: Math.min(rounds, 2) },
      run: () => stopwatch(() => throughManifests(world)),
    };
    const emulated: Contestant = {
      ...{ name: 'one emulated job (QEMU)', version: '', rounds: 1 },
      run: () => stopwatch(() => emulatedJob(world)),
    };
    const turns = await takeTurns([ours(world), chain, emulated], rounds);
    return {
      name: 'the same family, as it is built today',
      ...turns,
      unit: 'ms',
      target: '1.3 × faster than the chain, 3 × than emulation',
      reached: ({ ours: own, peer }) =>
        own * 1.3 <= peer('chain through manifests') && own * 3 <= peer('one emulated job (QEMU)'),
      note: 'In the chain, an image waits for the joined manifest of the one it is built on, and each job begins on an engine that has nothing (as pipelines have new machines, whose start is not counted here): the base, of 64 MiB, is fetched again for every build. Images take a different time on each platform, from half to one and a half of the mean, as in life. The emulated job builds amd64 and arm64 on one engine of one core.',
    };
  });
}

export function measureBake(rounds = 5): Promise<Measurement> {
  return inWorld(1, async (world) => {
    const { path } = goProgram('buildctl');
    if (world.buildkits.length === 0 || path === undefined) throw new Error('there is no BuildKit here');
    const emptied = (contestant: Contestant): Contestant => ({
      ...contestant,
      async run() {
        await Promise.all(world.buildkits.map((address) => timed(path, ['--addr', address, 'prune', '--all'])));
        return contestant.run();
      },
    });
    const peer = bake(world, goProgram('buildx'));
    const turns = await takeTurns([emptied(ours(world, 'buildkits.yaml')), emptied(peer)], rounds);
    return {
      name: 'the same family, on two BuildKits',
      ...turns,
      unit: 'ms',
      target: 'faster than bake',
      reached: ({ ours: own, peers: [baked = Number.NaN] }) => own < baked,
      note: 'Both have the same two BuildKits 0.18, one core for each platform, which are emptied before each turn. Bake builds all that can be built at once there, up to three images; splitbuild one after the other, the longest way to the end first. Bake has a child begin when its parent is built, splitbuild when it is pushed and read back; splitbuild also verifies, audits and moves the tags last.',
    };
  });
}

function ours(world: World, config = 'splitbuild.yaml'): Contestant {
  return { name: 'splitbuild build', version: '', run: () => stopwatch(() => build(world, config)) };
}

async function build({ folder }: World, config: string): Promise<void> {
  const args = ['build', '--config', join(folder, config), '--state', join(folder, 'state')];
  await timed(process.execPath, [splitbuild, ...args, '--set', `nonce=${nonce()}`], env);
}

/** Each platform's images in order on its own engine, with nothing between them. */
async function bareCommands(world: World): Promise<void> {
  const tag = nonce();
  await Promise.all(
    platforms.map(async (platform, at) => {
      for (const image of images) await buildAndPush(world, { image, platform, at, tag });
    }),
  );
}

async function throughManifests(world: World): Promise<void> {
  const tag = nonce();
  const free = platforms.map(() => Promise.resolve());
  const joined = new Map<string, Promise<void>>();
  const make = async (image: string): Promise<void> => {
    const parent = parents[image];
    if (parent !== undefined) await joined.get(parent);
    await Promise.all(
      platforms.map((platform, at) => {
        // An engine has one slot.
        const done = (free[at] ?? Promise.resolve()).then(async () => {
          await timed(world.docker, ['--host', world.engines[at] ?? '', 'system', 'prune', '--all', '--force'], env);
          await buildAndPush(world, { image, platform, at, tag, from: tag });
        });
        free[at] = done;
        return done;
      }),
    );
    const name = nameOf(world, image, tag);
    const home = { ...env, DOCKER_CLI_EXPERIMENTAL: 'enabled', HOME: world.folder };
    const parts = platforms.map((platform) => nameOf(world, image, tag, platform));
    await timed(world.docker, ['manifest', 'create', '--insecure', name, ...parts], home);
    await timed(world.docker, ['manifest', 'push', '--insecure', name], home);
  };
  for (const image of images) joined.set(image, make(image));
  await Promise.all(joined.values());
}

/** What was done before there were machines of each kind: one engine, and the foreign programs interpreted. */
async function emulatedJob(world: World): Promise<void> {
  const tag = nonce();
  for (const image of images) {
    for (const platform of ['linux/amd64', 'linux/arm64']) await buildAndPush(world, { image, platform, at: 0, tag });
  }
}

function bake(world: World, buildx: Program): Contestant {
  const name = 'buildx bake, two nodes';
  const { path, version } = buildx;
  const [first = '', second = ''] = world.buildkits;
  if (path === undefined) return { name, version, absent: buildx.absent, run: async () => 0 };
  const home = { ...env, HOME: world.folder };
  let created: Promise<unknown> | undefined;
  const create = async (): Promise<void> => {
    const [one = '', two = ''] = platforms;
    const nodes = ['create', '--name', 'bench', '--driver', 'remote'];
    await timed(path, [...nodes, '--node', 'one', '--platform', one, first], home);
    await timed(path, [...nodes, '--append', '--node', 'two', '--platform', two, second], home);
  };
  return {
    ...{ name, version },
    run: async () => {
      created ??= create();
      await created;
      const tag = nonce();
      const targets = images.map((image) => {
        const parent = parents[image];
        const contexts = parent ? { contexts: { [`bench/${parent}`]: `target:${parent}` } } : {};
        const args = { NONCE: tag };
        const context = join(world.folder, image);
        return [image, { context, args, platforms, tags: [nameOf(world, image, tag)], ...contexts }] as const;
      });
      const file = join(world.folder, 'bake.json');
      writeFileSync(
        file,
        JSON.stringify({ group: { default: { targets: images } }, target: Object.fromEntries(targets) }),
      );
      return stopwatch(() =>
        timed(path, ['bake', '--builder', 'bench', '--push', '--progress', 'plain', '-f', file], home),
      );
    },
  };
}

interface Step {
  image: string;
  platform: string;
  /** Which engine. */
  at: number;
  tag: string;
  /** The tag of the joined image that it is built on; its own platform's when not given. */
  from?: string;
}

async function buildAndPush(world: World, { image, platform, at, tag, from }: Step): Promise<void> {
  const engine = ['--host', world.engines[at] ?? ''];
  const name = nameOf(world, image, tag, platform);
  const parent = parents[image];
  const upstream = parent ? nameOf(world, parent, from ?? tag, from ? undefined : platform) : undefined;
  const command = world.builds === 'buildx' ? ['buildx', 'build', '--builder', 'default', '--load'] : ['build'];
  const args = ['--build-arg', `NONCE=${tag}`, ...(upstream ? ['--build-arg', `UPSTREAM=${upstream}`] : [])];
  await timed(
    world.docker,
    [
      ...[...engine, ...command, '--progress', 'plain', '--platform', platform],
      ...['--tag', name, ...args, join(world.folder, image)],
    ],
    env,
  );
  await timed(world.docker, [...engine, 'push', '--quiet', name], env);
}

function nameOf({ registry }: World, image: string, tag: string, platform?: string): string {
  return `${registry}/bare/${image}:${tag}${platform ? `-${platform.replace(/\W/g, '-')}` : ''}`;
}

const env = { ...process.env, CI: 'true', DOCKER_BUILDKIT: '1' };
let count = 0;
/** Nothing is taken from a cache. */
function nonce(): string {
  count += 1;
  return `${Date.now()}x${count}`;
}

async function stopwatch(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}
