// Publishing in a run: images are staged as they get ready; the tags of each, or of the whole family at once, move when all that must be
// is in order.
import { type Failure, fail, ok, type Result } from '../failure.ts';
import { type Child, composeIndex } from '../image/join.ts';
import type { PublishTask, Task } from '../plan/plan.ts';
import { tried } from './attempts.ts';
import type { Builds } from './builds.ts';
import type { Execution } from './execute.ts';
import {
  auditPlatforms,
  carryForward,
  passGates,
  type ReadyPlatform,
  type Staged,
  stageImage,
} from './publish-task.ts';
import { openInRecords, recover } from './recovery.ts';
import { publishUnit, type Snapshot, takeSnapshot } from './transaction.ts';

export interface Publishing {
  /** Makes an image ready, and with `publish: image` moves its tags. Builds of `failed` have their last good image carried forward. */
  stage(task: PublishTask, failed: ReadonlySet<string>): Promise<Result<void>>;
  /** A task that is not begun. */
  leave(task: Task, because: string): Result<never>;
  /** With `publish: family`, moves all tags if every image is ready. False where something was not published. */
  finished(): Promise<boolean>;
  /** Drops the run's own tags, where the registry drops a tag and nothing else. */
  dropStagedTags(): Promise<void>;
}

export function createPublishing(execution: Execution, builds: Builds): Publishing {
  const { plan, run, history, signal, options, finish, reject, skip } = execution;
  const publishes = plan.tasks.flatMap((task) => (task.kind === 'publish' ? [task] : []));
  const ready = new Map<string, { task: PublishTask; staged: Staged; since: number; stagedAt: number }>();
  /** Repositories in which an index was put under the run's name. */
  const stagedIn = new Set<string>();
  let complete = true;
  /** Begun with the run, beside the builds: what it finds is what the run goes by. */
  const looked = options.publish ? lookAround() : undefined;

  /** Ends what earlier runs left in the middle, and notes what every tag points at. */
  async function lookAround(): Promise<Result<Snapshot>> {
    const targets = publishes.map((task) => ({
      repository: task.repository,
      tags: task.tags,
      archTags: task.builds.flatMap((build) => build.archTags),
    }));
    const tell = (failure: Failure): void => {
      const why = 'message' in failure ? failure.message : failure.kind;
      run.emit({ type: 'warning', message: `the tags can't be read: ${why}`, time: run.clock.now() });
    };
    const own = await tried(() => endAll(history.open), tell, run.clock, signal);
    if (!own.ok) return own;
    const snapshot = await tried(() => takeSnapshot(targets, run, signal), tell, run.clock, signal);
    if (!snapshot.ok) return snapshot;
    const others = openInRecords(snapshot.value, plan.publish, history.open);
    if (others.length === 0) return snapshot;
    const ended = await tried(() => endAll(others), tell, run.clock, signal);
    return ended.ok ? tried(() => takeSnapshot(targets, run, signal), tell, run.clock, signal) : ended;
  }

  async function endAll(open: typeof history.open): Promise<Result<void>> {
    for (const publication of open) {
      const ended = await recover(publication, run, signal);
      if (!ended.ok) return ended;
    }
    return ok(undefined);
  }

  async function gather(task: PublishTask, failed: ReadonlySet<string>): Promise<Result<ReadyPlatform[]>> {
    const platforms: ReadyPlatform[] = [];
    for (const { task: id, platform, archTags } of task.builds) {
      const made = builds.built(id);
      if (made && !failed.has(id)) {
        platforms.push({ build: id, platform, archTags, child: made.child, carried: false });
        continue;
      }
      const child = await carryForward(task, platform, run, signal);
      if (!child.ok) return child;
      platforms.push({ build: id, platform, archTags, child: child.value, carried: true });
    }
    return ok(platforms);
  }

  /** The digest of an image whose tags all point at what they would get: nothing is to be staged, looked through or moved. */
  async function alreadyPublished(task: PublishTask, failed: ReadonlySet<string>): Promise<string | undefined> {
    const snapshot = await looked;
    if (!snapshot?.ok || failed.size > 0) return undefined;
    const { tags } = snapshot.value;
    const isAt = (tag: string, digest: string): boolean => tags.get(`${task.repository}:${tag}`)?.digest === digest;
    const children: Child[] = [];
    for (const { task: id, archTags } of task.builds) {
      const { child } = builds.built(id) ?? {};
      if (!child || !archTags.every((tag) => isAt(tag, child.descriptor.digest))) return undefined;
      children.push(child);
    }
    const { digest } = composeIndex(children);
    return task.tags.every((tag) => isAt(tag, digest)) ? digest : undefined;
  }

  async function makeReady(task: PublishTask, failed: ReadonlySet<string>): Promise<Result<Staged>> {
    const platforms = await gather(task, failed);
    if (!platforms.ok) return platforms;
    if (platforms.value.every(({ carried }) => carried)) {
      return fail({ kind: 'verification', message: `no platform of '${task.image}' could be built` });
    }
    stagedIn.add(task.repository);
    const staged = await stageImage(task, platforms.value, run, signal);
    if (!staged.ok) return staged;
    const audited = await auditPlatforms(task, platforms.value, run, signal, (build) => {
      const key = builds.built(build)?.key;
      if (key) run.emit({ type: 'build-refused', task: build, key, time: run.clock.now() });
    });
    if (!audited.ok) return audited;
    const passed = await passGates(task, plan.gates, staged.value, platforms.value, run, signal);
    return passed.ok ? staged : passed;
  }

  async function move(unit: string, staged: Staged[]): Promise<Result<void>> {
    const snapshot = await looked;
    if (!snapshot?.ok) return snapshot ?? ok(undefined);
    const groups = staged.flatMap((one) => one.groups);
    return publishUnit(unit, groups, snapshot.value, run, signal);
  }

  return {
    async stage(task, failed) {
      const since = run.clock.now();
      const digest = await alreadyPublished(task, failed);
      if (digest !== undefined) {
        run.emit({ type: 'task-reused', task: task.id, digest, time: run.clock.now() });
        return ok(undefined);
      }
      const told = (failure: Failure, retry: boolean): unknown => reject(task, since, failure, retry);
      const work = async (attempt: number): Promise<Result<Staged>> => {
        run.emit({ type: 'task-started', task: task.id, attempt, time: run.clock.now() });
        const staged = await makeReady(task, failed);
        if (!staged.ok || plan.publish === 'family') return staged;
        const moved = await move(task.image, [staged.value]);
        return moved.ok ? staged : moved;
      };
      const done = await tried(work, told, run.clock, signal);
      if (!done.ok) {
        complete = false;
        return done;
      }
      if (plan.publish === 'image') return finish(task, since, { digest: done.value.digest });
      ready.set(task.id, { task, staged: done.value, since, stagedAt: run.clock.now() });
      return ok(undefined);
    },
    leave(task, because) {
      if (task.kind === 'publish') complete = false;
      return skip(task, because);
    },
    async finished() {
      await looked;
      if (!options.publish || plan.publish === 'image') return complete;
      const all = [...ready.values()];
      const [first] = all;
      if (!first) return complete;
      if (!complete || signal.aborted) {
        const because = signal.aborted
          ? 'interrupted'
          : 'the family is published as a whole, and not all of it is ready';
        for (const { task } of all) skip(task, because);
        return false;
      }
      const begun = run.clock.now();
      const moved = await tried(
        () =>
          move(
            'family',
            all.map(({ staged }) => staged),
          ),
        (failure, retry) => reject(first.task, begun, failure, retry),
        run.clock,
        signal,
      );
      for (const { task, staged, since, stagedAt } of all) {
        if (moved.ok) finish(task, since, { digest: staged.digest }, begun - stagedAt);
        else if (task !== first.task) skip(task, `${first.task.id} was not done`);
      }
      return moved.ok;
    },
    async dropStagedTags() {
      if (!run.embedded || run.shared) return;
      const indexes = [...stagedIn].map((repository) => ({ repository, tag: run.id }));
      const patience = AbortSignal.timeout(20_000);
      await Promise.all(
        [...builds.stagedTags(), ...indexes].map((staged) =>
          run.registry.deleteManifest({ registry: run.registryAddress, ...staged }, patience),
        ),
      );
    },
  };
}
