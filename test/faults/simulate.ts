// One simulated schedule: an old release, then a new one through troubles, and what must hold afterwards.
import { isIndexType } from '../../src/image/oci.ts';
import { verifyIndex } from '../../src/image/verify.ts';
import type { Event } from '../../src/run/event.ts';
import { parseJournal, replayHistory } from '../../src/run/journal.ts';
import { readRecord } from '../../src/run/transaction.ts';
import { architectures, images, platforms, repositoryOf, tag, tags } from './family.ts';
import { createRandom, type Random } from './random.ts';
import type { Policies } from './simulated-plan.ts';
import { createWorld, type EndedRun, noTrouble, type Trouble, type World } from './simulated-world.ts';

export interface SimulatedResult {
  number: number;
  /** What does not hold; empty is good. */
  violations: string[];
  injected: Map<string, number>;
  runs: number;
}

/** More than a run of the family has, so that every event is the last of some run. */
const events = 120;

export async function simulateSchedule(seed: string, number: number): Promise<SimulatedResult> {
  const random = createRandom(`${seed}/simulated/${number}`);
  const policies: Policies = {
    publish: random.pick(['image', 'family']),
    failedPlatform: random.chance(0.2) ? 'carry' : 'hold',
    tested: new Set(images.filter(() => random.chance(0.2))),
    gated: random.chance(0.3),
  };
  const world = createWorld(`${seed}/${number}`, policies);
  const violations: string[] = [];
  const injected = new Map<string, number>();
  const versions: Versions = new Map();
  const old = await world.run(1, noTrouble);
  if (old.outcome !== 'done') return { number, violations: [`the first release: ${old.outcome}`], injected, runs: 1 };
  note(versions, old, 1);
  const before = state(world);
  const troubles = [
    makeTrouble(random, 1 + (number % events)),
    ...(random.chance(0.5) ? [makeTrouble(random, undefined)] : []),
  ];
  let runs = 1;
  let version = 1;
  let last: EndedRun = old;
  for (const trouble of troubles) {
    // What one run began, another of a newer version may have to end.
    if (version === 1 || random.chance(0.4)) version += 1;
    last = await world.run(version, trouble);
    runs += 1;
    note(versions, last, version);
    for (const [kind, count] of last.injected) injected.set(kind, (injected.get(kind) ?? 0) + count);
    if (last.outcome !== 'killed' && !last.injected.has('disk-full') && !injected.has('rival')) {
      violations.push(
        ...mixed(world, policies, versions, last).map((what) => `after a run that ${last.outcome}: ${what}`),
      );
    }
  }
  for (let tries = 0; tries < 3; tries += 1) {
    last = await world.run(version, noTrouble);
    runs += 1;
    note(versions, last, version);
    if (last.outcome === 'done') break;
  }
  if (last.outcome !== 'done') violations.push(`a run without troubles ended as ${last.outcome}: ${reason(last)}`);
  violations.push(...(await verifyAll(world, before, version, versions)), ...repeated(world));
  return { number, violations: [...new Set(violations)], injected, runs };
}

function makeTrouble(random: Random, dieAt: number | undefined): Trouble {
  const build = (): string =>
    `${random.pick(images as ['base', ...string[]])} ${random.pick(architectures as ['amd64', ...string[]])}`;
  const from = random.whole(0, 60_000);
  return {
    ...(dieAt !== undefined && random.chance(0.6) ? { dieAt } : {}),
    ...(random.chance(0.1) ? { interruptAt: random.whole(1, events) } : {}),
    ...(random.chance(0.1) ? { fullAt: random.whole(1, events) } : {}),
    ...(random.chance(0.4)
      ? {
          registry: {
            chance: random.pick([0.02, 0.1, 0.4, 1]),
            kinds: [random.pick(['before', 'after', 'silence', 'slow']), random.pick(['before', 'after', 'slow'])],
            from,
            to: from + random.whole(1000, 40_000),
          },
        }
      : {}),
    engines: random.chance(0.4)
      ? [1, 2].map(() => {
          const begin = random.whole(0, 60_000);
          const host = random.pick(['one', 'two', 'three']);
          return { host, from: begin, to: begin + random.whole(1000, 90_000), state: random.pick(['dead', 'frozen']) };
        })
      : [],
    // After a death, the run that has to clean up is one that can't publish its own.
    failing: new Set(random.chance(dieAt === undefined ? 0.4 : 0.1) ? [build()] : []),
    untested: new Set(random.chance(0.1) ? [random.pick(images as ['base', ...string[]])] : []),
    gateSaysNo: random.chance(0.03),
    ...(random.chance(0.08)
      ? { rival: { image: random.pick(images as ['base', ...string[]]), at: random.whole(0, 90_000) } }
      : {}),
  };
}

type State = Map<string, string | undefined>;

function state(world: World): State {
  return new Map(
    images.flatMap((image) =>
      tags.map((name): [string, string | undefined] => [
        `${repositoryOf(image)}:${name}`,
        world.registry.tags(repositoryOf(image)).get(name),
      ]),
    ),
  );
}

/** Which version an image is of, by digest. */
type Versions = Map<string, number>;

function note(versions: Versions, { events: own }: EndedRun, version: number): void {
  for (const event of own) {
    if (event.type !== 'publish-prepared') continue;
    for (const { to } of event.groups.flatMap(({ moves }) => moves))
      if (!versions.has(to.digest)) versions.set(to.digest, version);
  }
}

/** Units whose tags are of several versions, though nothing is left to be finished. */
function mixed(world: World, { publish, failedPlatform }: Policies, versions: Versions, last: EndedRun): string[] {
  // What the last run itself could not end, or could not look at, is for the next.
  const couldNotLook = last.events.some(({ type }) => type === 'warning');
  if (couldNotLook || replayHistory(world.journals.slice(-1), 'faults').open.length > 0) return [];
  const now = state(world);
  const units = publish === 'family' ? [images] : images.map((image) => [image]);
  return units.flatMap((unit) => {
    // The arch tag of a platform that is carried forward stays where it is.
    const names = unit.flatMap((image) =>
      (failedPlatform === 'carry' ? [tag] : tags).map((name) => `${repositoryOf(image)}:${name}`),
    );
    const found = new Set(names.map((name) => versions.get(now.get(name) ?? '')));
    return found.size === 1 ? [] : [`${unit.join(' ')} is published in versions ${[...found].join(', ')}`];
  });
}

async function verifyAll(world: World, before: State, version: number, versions: Versions): Promise<string[]> {
  const client = world.registry.client();
  const never = new AbortController().signal;
  const now = state(world);
  const problems: string[] = [];
  for (const [name, digest] of now) {
    if (digest === before.get(name)) problems.push(`${name} is still old`);
    const found = versions.get(digest ?? '');
    if (found !== version) problems.push(`${name} is of version ${found}, not ${version}`);
  }
  for (const image of images) {
    const repository = repositoryOf(image);
    const reference = { registry: 'registry.example:5000', repository, tag };
    const whole = await verifyIndex(client, reference, platforms, never);
    if (!whole.ok) {
      problems.push(`${image} does not verify: ${JSON.stringify(whole.failure)}`);
      continue;
    }
    for (const { platform, digest } of whole.value.platforms) {
      const archTag = now.get(`${repository}:${tag}-${platform.architecture}`);
      if (archTag !== digest)
        problems.push(`${image}: the arch tag of ${platform.architecture} is not what the index has`);
    }
    const world_ = { registry: client, registryAddress: 'registry.example:5000' };
    const record = await readRecord(repository, tag, world_, never);
    const to = record.ok ? record.value?.moves.find((move) => move.tag === tag)?.to : undefined;
    if (to?.digest !== whole.value.digest || !isIndexType(to.mediaType))
      problems.push(`${image}: the record is of another publication`);
  }
  return problems;
}

/** Builds that were begun again after they had been finished, in whatever run, by the word of all journals. */
function repeated(world: World): string[] {
  const finished = new Set<string>();
  const problems: string[] = [];
  for (const event of world.journals.flatMap((text): Event[] => parseJournal(text))) {
    if (!('key' in event) || event.key === undefined) continue;
    const what = `${event.task} ${event.key}`;
    if (event.type === 'task-started' && finished.has(what)) problems.push(`${event.task} was built again`);
    if (event.type === 'task-finished') finished.add(what);
  }
  return problems;
}

function reason({ events: all }: EndedRun): string {
  return all
    .flatMap((event) => (event.type === 'task-failed' ? [`${event.task}: ${JSON.stringify(event.failure)}`] : []))
    .join('; ');
}
