// Publishing in a run: images are staged as they get ready; the tags of each, or of the whole family at once, move when all that must be
// is in order.
import { type Failure, fail, ok, type Result } from '../failure.ts';
import type { Digest } from '../image/oci.ts';
import { formatPlatform, type Platform } from '../image/platform.ts';
import type { PublishTask, Task } from '../plan/plan.ts';
import { tried } from './attempts.ts';
import type { Builds } from './builds.ts';
import { checksOf, noteChecked, whyCheckAgain } from './checks.ts';
import type { Execution } from './execute.ts';
import {
  asPublished,
  auditPlatforms,
  carryForward,
  passGates,
  type ReadyPlatform,
  type Staged,
  stageImage,
} from './publish-task.ts';
import { publishedDigest, tagsOf } from './published.ts';
import { openInRecords, recover } from './recovery.ts';
import { lookAtTags, publishUnit, readRecords, type Snapshot, takeSnapshot } from './transaction.ts';

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

  /** Images whose records are in the snapshot. */
  const read = new Set<string>();

  /** Ends what earlier runs left in the middle, and notes what every tag points at. */
  async function lookAround(): Promise<Result<Snapshot>> {
    const own = await tried(() => endAll(history.open), tell, run.clock, signal);
    if (!own.ok) return own;
    const early = history.open.length === 0 ? await run.look?.tags : undefined;
    const planned = early?.ok && run.look ? run.look.planned : run.clock.now();
    const tags = early?.ok
      ? early
      : await tried(() => lookAtTags(publishes.map(tagsOf), run, signal), tell, run.clock, signal);
    if (!tags.ok) return tags;
    const snapshot: Snapshot = { planned, tags: tags.value, records: new Map() };
    // Where all tags of an image are where this run wants them, nobody has left them in the middle.
    const isSettled = (task: PublishTask): boolean =>
      publishedDigest(task, tags.value, (id) => run.found?.get(id)?.child) !== undefined;
    const unsettled = publishes.filter((task) => !isSettled(task));
    if (unsettled.length === 0) return ok(snapshot);
    // What moved as one is seen as one.
    const recorded = await readRecordsOf(plan.publish === 'family' ? publishes : unsettled, snapshot);
    if (!recorded.ok) return recorded;
    const others = openInRecords(snapshot, plan.publish, history.open);
    if (others.length === 0) return ok(snapshot);
    const ended = await tried(() => endAll(others), tell, run.clock, signal);
    if (!ended.ok) return ended;
    const again = await tried(() => takeSnapshot(publishes.map(tagsOf), run, signal), tell, run.clock, signal);
    if (again.ok) for (const { id } of publishes) read.add(id);
    return again;
  }

  function tell(failure: Failure): void {
    const why = 'message' in failure ? failure.message : failure.kind;
    run.emit({ type: 'warning', message: `the tags can't be read: ${why}`, time: run.clock.now() });
  }

  async function readRecordsOf(tasks: PublishTask[], { records }: Snapshot): Promise<Result<void>> {
    const unread = tasks.filter(({ id }) => !read.has(id));
    const found = await tried(() => readRecords(unread, run, signal), tell, run.clock, signal);
    if (!found.ok) return found;
    for (const [name, record] of found.value) records.set(name, record);
    for (const { id } of unread) read.add(id);
    return ok(undefined);
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
      if (child.value.descriptor.digest === made?.child.descriptor.digest)
        return fail(failedAsPublished(task, platform));
      platforms.push({ build: id, platform, archTags, child: child.value, carried: true });
    }
    return ok(platforms);
  }

  async function alreadyPublished(task: PublishTask, failed: ReadonlySet<string>): Promise<string | undefined> {
    const snapshot = await looked;
    if (!snapshot?.ok || failed.size > 0) return undefined;
    return publishedDigest(task, snapshot.value.tags, (id) => builds.built(id)?.child);
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
    return check(task, staged.value, platforms.value, (build) => {
      const key = builds.built(build)?.key;
      if (key) run.emit({ type: 'build-refused', task: build, key, time: run.clock.now() });
    });
  }

  /** Audit and gates, and that they were passed is noted. */
  async function check(
    task: PublishTask,
    staged: Staged,
    platforms: ReadyPlatform[],
    refused: (build: string) => void,
  ): Promise<Result<Staged>> {
    const asked = checksOf(task, plan, run.gateFiles);
    const audited = await auditPlatforms(task, staged, platforms, run, signal, refused);
    if (!audited.ok) return audited;
    const passed = await passGates(task, plan.gates, staged, platforms, run, signal);
    if (!passed.ok) return passed;
    const noted = await noteChecked(task, staged, asked, staged.groups.length === 0, run, signal);
    return noted.ok ? ok(staged) : noted;
  }

  /** What is published and held to something else now. That it is refused says nothing of the engine that built it. */
  async function checkAgain(task: PublishTask, digest: Digest, attempt: number): Promise<Result<Staged | undefined>> {
    const why = await whyCheckAgain(task, digest, checksOf(task, plan, run.gateFiles), run, signal);
    if (!why.ok || why.value === undefined) return why.ok ? ok(undefined) : why;
    run.emit({ type: 'task-started', task: task.id, attempt, time: run.clock.now() });
    const line = `published already, and checked again: ${why.value}`;
    run.emit({ type: 'task-output', task: task.id, line, time: run.clock.now() });
    const platforms = await gather(task, new Set());
    return platforms.ok ? check(task, asPublished(task, platforms.value), platforms.value, () => undefined) : platforms;
  }

  async function move(unit: string, images: { task: PublishTask; staged: Staged }[]): Promise<Result<void>> {
    const snapshot = await looked;
    if (!snapshot?.ok) return snapshot ?? ok(undefined);
    const tasks = images.map(({ task }) => task);
    const recorded = await readRecordsOf(tasks, snapshot.value);
    if (!recorded.ok) return recorded;
    const groups = images.flatMap(({ staged }) => staged.groups);
    return publishUnit(unit, groups, snapshot.value, run, signal);
  }

  return {
    async stage(task, failed) {
      const since = run.clock.now();
      const told = (failure: Failure, retry: boolean): unknown => reject(task, since, failure, retry);
      const digest = await alreadyPublished(task, failed);
      if (digest !== undefined) {
        const checked = await tried((attempt) => checkAgain(task, digest, attempt), told, run.clock, signal);
        if (!checked.ok) complete = false;
        else if (checked.value) return finish(task, since, { digest });
        else run.emit({ type: 'task-reused', task: task.id, digest, time: run.clock.now() });
        return checked.ok ? ok(undefined) : checked;
      }
      const work = async (attempt: number): Promise<Result<Staged>> => {
        run.emit({ type: 'task-started', task: task.id, attempt, time: run.clock.now() });
        const staged = await makeReady(task, failed);
        if (!staged.ok || plan.publish === 'family') return staged;
        const moved = await move(task.image, [{ task, staged: staged.value }]);
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
        () => move('family', all),
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

/** A test was added, or is another now, and the image that has not passed it is the one that would be carried forward. */
function failedAsPublished({ image, repository, tags }: PublishTask, platform: Platform): Failure {
  return {
    kind: 'verification',
    message: `the image of ${formatPlatform(platform)} that failed its test is the one that ${repository}:${tags[0] ?? 'latest'} has already: there is no other to carry forward`,
    help: `'splitbuild rollback ${image}' takes its tags back to what they were before`,
  };
}
