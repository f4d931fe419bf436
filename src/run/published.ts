// What the tags of a plan's images point at, asked for before anything else is known of a run: the answers come while files are hashed.
// They tell what is published, and thereby what is there, so that most keys need not be asked for where nothing has changed.
import { isAbsent, ok, type Result } from '../failure.ts';
import { childrenOf } from '../image/attestation.ts';
import { type Child, composeIndex } from '../image/join.ts';
import type { Digest, Index } from '../image/oci.ts';
import { samePlatform } from '../image/platform.ts';
import { isIndex } from '../image/store.ts';
import type { BuildTask, Plan, PublishTask } from '../plan/plan.ts';
import type { RunContext } from './context.ts';
import { at, nameOf } from './moves.ts';
import { lookAtTags, type Tags, type TagsOf } from './transaction.ts';

export interface Look {
  /** When the first was asked for, ms since the epoch. */
  planned: number;
  /** Of all images. */
  tags: Promise<Result<Tags>>;
  /** Whether one of a build's arch tags points at this image: it is there. */
  pointsAt(task: BuildTask, digest: Digest): Promise<boolean>;
  /** The image of a build's platform that is published and there; undefined where it isn't known, or was not looked for. */
  childOf(task: BuildTask): Promise<Child | undefined>;
}

type World = Pick<RunContext, 'registry' | 'registryAddress' | 'clock'>;

interface Published {
  tags: Tags;
  children: Child[];
}

/** `isKnown`: whether it is noted on this machine what a build was when it was last done. Where it isn't, the index is asked for as well. */
export function lookAtPublished(
  plan: Plan,
  world: World,
  isKnown: (task: BuildTask) => boolean,
  signal: AbortSignal,
): Look {
  const builds = new Map(plan.tasks.flatMap((task) => (task.kind === 'build' ? [[task.id, task]] : [])));
  const looks = new Map<string, { task: PublishTask; found: Promise<Result<Published>> }>();
  const planned = world.clock.now();
  for (const task of plan.tasks) {
    if (task.kind !== 'publish') continue;
    const isNew = task.builds.some((one) => {
      const build = builds.get(one.task);
      return build !== undefined && !isKnown(build);
    });
    looks.set(task.image, { task, found: lookAt(task, isNew) });
  }

  async function lookAt(task: PublishTask, opens: boolean): Promise<Result<Published>> {
    const { repository, archTags, tags } = tagsOf(task);
    const [first, ...others] = tags;
    if (!opens || first === undefined) {
      const found = await lookAtTags([{ repository, archTags, tags }], world, signal);
      return found.ok ? ok({ tags: found.value, children: [] }) : found;
    }
    const [found, index] = await Promise.all([
      lookAtTags([{ repository, archTags, tags: others }], world, signal),
      world.registry.getManifest(at(world, repository, first), signal),
    ]);
    if (!found.ok) return found;
    if (!index.ok && !isAbsent(index.failure)) return index;
    found.value.set(nameOf({ repository, tag: first }), index.ok ? index.value.descriptor : undefined);
    const children =
      index.ok && isIndex(index.value) ? ownChildren(index.value.content, index.value.descriptor.digest) : [];
    return ok({ tags: found.value, children });
  }

  async function lookOf(build: BuildTask): Promise<(Published & { archTags: string[] }) | undefined> {
    const look = looks.get(build.image);
    const found = await look?.found;
    const archTags = look?.task.builds.find(({ task }) => task === build.id)?.archTags ?? [];
    return found?.ok ? { ...found.value, archTags } : undefined;
  }

  async function pointsAt(task: BuildTask, digest: Digest): Promise<boolean> {
    const { archTags, tags } = (await lookOf(task)) ?? {};
    return archTags?.some((tag) => tags?.get(nameOf({ repository: task.repository, tag }))?.digest === digest) ?? false;
  }

  return {
    planned,
    tags: (async () => {
      const all: Tags = new Map();
      for (const { found } of looks.values()) {
        const one = await found;
        if (!one.ok) return one;
        for (const [name, target] of one.value.tags) all.set(name, target);
      }
      return ok(all);
    })(),
    pointsAt,
    async childOf(task) {
      const { children = [] } = (await lookOf(task)) ?? {};
      const child = children.find(
        ({ descriptor: { platform } }) => platform !== undefined && samePlatform(platform, task.platform),
      );
      return child && (await pointsAt(task, child.descriptor.digest)) ? child : undefined;
    },
  };
}

export function tagsOf({ repository, tags, builds }: PublishTask): TagsOf {
  return { repository, tags, archTags: builds.flatMap(({ archTags }) => archTags) };
}

/**
 * The images of an index that is, byte for byte, what splitbuild makes of them: then their platforms are those of their configs, as it was
 * verified before it got its tag. One that was carried forward is not what was built for its platform.
 */
function ownChildren(index: Index, digest: Digest): Child[] {
  const children = childrenOf(index);
  if (composeIndex(children).digest !== digest) return [];
  return children.filter(({ descriptor }) => descriptor.annotations === undefined);
}

/** The digest of an image whose tags all point at what they would get: nothing is to be staged, looked through or moved. */
export function publishedDigest(
  task: PublishTask,
  tags: Tags,
  childOf: (build: string) => Child | undefined,
): Digest | undefined {
  const isAt = (tag: string, digest: string): boolean =>
    tags.get(nameOf({ repository: task.repository, tag }))?.digest === digest;
  const children: Child[] = [];
  for (const { task: id, archTags } of task.builds) {
    const child = childOf(id);
    if (!child || !archTags.every((tag) => isAt(tag, child.descriptor.digest))) return undefined;
    children.push(child);
  }
  const { digest } = composeIndex(children);
  return task.tags.every((tag) => isAt(tag, digest)) ? digest : undefined;
}
