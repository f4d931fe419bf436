// What of a plan is there already, found out by reading alone: before any builder is opened, and for a plan that only wants to say it.
import { ok, type Result } from '../failure.ts';
import type { Digest } from '../image/oci.ts';
import type { BuildTask, Plan, PublishTask, Task, TestTask } from '../plan/plan.ts';
import type { ReadInputs } from './build-inputs.ts';
import { keyTag } from './build-key.ts';
import { type Built, neededBuilds, type PreparedBuild, prepareBuild } from './build-task.ts';
import type { RunContext } from './context.ts';
import type { History } from './journal.ts';
import { findByKey } from './keys.ts';
import type { PartsStore } from './keys-parts.ts';
import type { Look } from './published.ts';
import { isSuspect } from './suspect.ts';
import { wasTested } from './test-task.ts';

export type Standing =
  /** It is there. `digest`: of a build's image manifest. */
  | { state: 'there'; digest: Digest; prepared?: PreparedBuild }
  /** No result has this key; or, for want of a digest, none could be trusted. */
  | { state: 'missing'; prepared?: PreparedBuild }
  /** Something it is made of will be built, so that its key is not known yet. */
  | { state: 'follows'; because: string };

export interface SurveyOptions {
  readInputs: ReadInputs;
  /** The digest of the image manifest that lies under a build's key; undefined where there is none. */
  findBuild(task: BuildTask, key: Digest): Promise<Result<Digest | undefined>>;
  findTest(task: TestTask, digest: Digest): Promise<Result<boolean>>;
}

/** How each build and test stands, by task id. Fails where something can't be read. */
export async function survey(plan: Plan, options: SurveyOptions): Promise<Result<Map<string, Standing>>> {
  const repositories = new Map(plan.tasks.map((task) => [task.id, task.repository]));
  const standings = new Map<string, Promise<Result<Standing>>>();
  for (const task of plan.tasks) {
    // A plan's tasks come after what they need.
    if (task.kind !== 'publish') standings.set(task.id, task.kind === 'build' ? standingOf(task) : testStanding(task));
  }
  const found = new Map<string, Standing>();
  for (const [id, standing] of standings) {
    const known = await standing;
    if (!known.ok) {
      await Promise.all(standings.values());
      return known;
    }
    found.set(id, known.value);
  }
  return ok(found);

  async function standingOf(task: BuildTask): Promise<Result<Standing>> {
    const digests = new Map<string, Digest>();
    for (const id of new Set([...task.upstreams.map((pin) => pin.task), ...neededBuilds(task)])) {
      const upstream = await standings.get(id);
      if (!upstream) continue;
      if (!upstream.ok) return upstream;
      if (upstream.value.state !== 'there') return ok({ state: 'follows', because: id });
      digests.set(id, upstream.value.digest);
    }
    const inputs = await options.readInputs(task);
    if (!inputs.ok) return inputs;
    const prepared = prepareBuild(task, inputs.value, (id) => ({
      repository: repositories.get(id) ?? '',
      digest: digests.get(id) ?? '',
    }));
    if (prepared.unpinned.length > 0) return ok({ state: 'missing', prepared });
    const digest = await options.findBuild(task, prepared.key);
    if (!digest.ok) return digest;
    return ok(
      digest.value === undefined ? { state: 'missing', prepared } : { state: 'there', digest: digest.value, prepared },
    );
  }

  async function testStanding(task: TestTask): Promise<Result<Standing>> {
    const build = await standings.get(task.build);
    if (build && !build.ok) return build;
    if (build?.value.state !== 'there') return ok({ state: 'follows', because: task.build });
    const { digest } = build.value;
    const tested = await options.findTest(task, digest);
    if (!tested.ok) return tested;
    return ok(tested.value ? { state: 'there', digest } : { state: 'missing' });
  }
}

export interface Reusable {
  /** What needs a builder, or may. */
  needed: Exclude<Task, PublishTask>[];
  /** By task: what is taken as it is. */
  found: Map<string, Built>;
}

/** Looks for every key of a plan. What can't be looked at is taken as needed: the run itself meets it again, and says so. */
export async function findReusable(
  plan: Plan,
  {
    registry,
    registryAddress,
    clock,
    readInputs,
    audit,
    parts,
    look,
  }: Pick<RunContext, 'registry' | 'registryAddress' | 'clock' | 'readInputs' | 'audit'> & {
    parts: Pick<PartsStore, 'read'>;
    /** What is published; where it is what this machine has noted under the same key, that is there. */
    look?: Pick<Look, 'pointsAt' | 'childOf'> | undefined;
  },
  history: Pick<History, 'refused'>,
  signal: AbortSignal,
): Promise<Reusable> {
  const world = { registry, registryAddress, clock, emit: () => undefined };
  const found = new Map<string, Built>();
  const standings = await survey(plan, {
    readInputs,
    async findBuild(task, key) {
      const kept = parts.read(task);
      const known = kept?.key === key ? kept.image : undefined;
      const isThere = known && (await look?.pointsAt(task, known.child.descriptor.digest));
      const image = isThere
        ? ok(known)
        : await findByKey(task, key, world, signal, { known, published: await look?.childOf(task) });
      if (!image.ok || !image.value) return image.ok ? ok(undefined) : image;
      const suspect = await isSuspect(task, key, image.value.child, plan, history, { audit }, signal);
      if (!suspect.ok || suspect.value) return suspect.ok ? ok(undefined) : suspect;
      found.set(task.id, { ...image.value, stagedTag: keyTag(key), key });
      return ok(image.value.child.descriptor.digest);
    },
    findTest: (task, digest) => wasTested(task, digest, world, signal),
  });
  const isThere = ({ id }: Task): boolean => standings.ok && standings.value.get(id)?.state === 'there';
  const needed = plan.tasks.flatMap((task) => (task.kind === 'publish' || isThere(task) ? [] : [task]));
  return { needed, found };
}
