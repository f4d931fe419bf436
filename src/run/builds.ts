// Builds and tests of a run: what is there already is taken, the rest is built on a builder, elsewhere or later where that fails.
import type { Engine } from '../engine/engine.ts';
import { type Failure, fail, isAbsent, ok, type Result } from '../failure.ts';
import type { Lease, Wishes } from '../fleet/fleet.ts';
import { builderOfParents } from '../plan/affinity.ts';
import { estimate } from '../plan/estimate.ts';
import { createHandover } from '../plan/handover.ts';
import type { BuildTask, TestTask } from '../plan/plan.ts';
import { isTransient, mayPass, tried } from './attempts.ts';
import { keyTag } from './build-key.ts';
import { type Built, type PreparedBuild, prepareBuild, readNewlyStaged, runBuild, stagedTagOf } from './build-task.ts';
import type { Execution } from './execute.ts';
import { findByKey, keepUnder, readStaged } from './keys.ts';
import { isSuspect } from './suspect.ts';
import { markTested, runTest, testKey, untested, wasTested } from './test-task.ts';

export interface Builds {
  build(task: BuildTask): Promise<Result<void>>;
  test(task: TestTask): Promise<Result<void>>;
  /** What a build task left, once it is done. */
  built(task: string): Built | undefined;
  /** Every tag of a run, this or an earlier one, under which what this run has lies; keys are not among them. */
  stagedTags(): { repository: string; tag: string }[];
  /** Drops the engines' own names for what was pushed. They are kept until then, so that downstream builds find their upstream there. */
  dropNames(): Promise<void>;
}

export function createBuilds({ plan, run, history, signal, options, finish, reject }: Execution): Builds {
  const built = new Map<string, Built>();
  const names = new Map<Engine, string[]>();
  /** External images that somebody was told of. */
  const told = new Set<string>();
  const estimated = estimate(plan, history, run.fleet.builders);
  const { mayFollow, ended } = createHandover(plan, estimated, run.fleet.builders);
  const repositories = new Map(plan.tasks.map((task) => [task.id, task.repository]));
  const nameOn = (engine: Engine, reference: string): void => {
    names.set(engine, [...(names.get(engine) ?? []), reference]);
  };

  function reuse(task: BuildTask | TestTask, made: Built, key: string): Result<void> {
    const { child, stagedTag } = made;
    const { digest } = child.descriptor;
    run.emit({ type: 'task-reused', task: task.id, digest, stagedTag, key, time: run.clock.now() });
    return ok(undefined);
  }

  /** What was pushed for the same key before, by anybody; undefined where it has to be built. */
  async function findStaged(prepared: PreparedBuild): Promise<Result<Built | undefined>> {
    const { task, key, unpinned } = prepared;
    // First what this run has: its processes are to have the same, whatever others do.
    const own = run.shared ? await readOwn(task, key) : ok(undefined);
    if (!own.ok || own.value) return own;
    const keyed = unpinned.length > 0 || run.noCache ? ok(undefined) : await findKeyed(task, key);
    if (!keyed.ok || keyed.value) return keyed;
    const begun = run.noCache ? ok(undefined) : await findBegun(prepared);
    if (!begun.ok || begun.value) return begun;
    return run.shared && !options.build ? fail(notBuilt(task)) : ok(undefined);
  }

  async function findKeyed(task: BuildTask, key: string): Promise<Result<Built | undefined>> {
    const known = run.found?.get(task.id);
    const found = known?.key === key ? ok(known) : await findByKey(task, key, run, signal);
    if (!found.ok || !found.value) return found.ok ? ok(undefined) : found;
    const stagedTag = run.shared ? stagedTagOf(task, run.id) : keyTag(key);
    if (run.shared) {
      const kept = await keepUnder(task, stagedTag, found.value.top, run, signal);
      if (!kept.ok) return kept;
    }
    return ok({ ...found.value, stagedTag, key });
  }

  /** What a run that was stopped had begun, and perhaps pushed before it came to write down its key. */
  async function findBegun({ task, key, unpinned }: PreparedBuild): Promise<Result<Built | undefined>> {
    const before = history.unfinished.get(task.id);
    if (before?.key !== key) return ok(undefined);
    const read = before.digest === undefined ? readNewlyStaged : readStaged;
    const staged = await read(task, before.stagedTag, run, signal);
    // It may be there, and could not be looked at: to build it again would be to build it twice.
    if (!staged.ok) return mayPass(staged.failure) ? staged : ok(undefined);
    if (before.digest !== undefined && staged.value.child.descriptor.digest !== before.digest) return ok(undefined);
    const { top } = staged.value;
    const kept = unpinned.length > 0 ? ok(undefined) : await keepUnder(task, keyTag(key), top, run, signal);
    return kept.ok ? ok({ ...staged.value, stagedTag: before.stagedTag, key }) : kept;
  }

  /** What this run itself, or another process of it, has pushed already. */
  async function readOwn(task: BuildTask, key: string): Promise<Result<Built | undefined>> {
    const stagedTag = stagedTagOf(task, run.id);
    const staged = await readNewlyStaged(task, stagedTag, run, signal);
    if (staged.ok) return ok({ ...staged.value, stagedTag, key });
    return isAbsent(staged.failure) ? ok(undefined) : staged;
  }

  async function prepare(task: BuildTask, fresh: boolean): Promise<Result<PreparedBuild>> {
    const inputs = await run.readInputs(task, fresh);
    if (!inputs.ok) return inputs;
    const prepared = prepareBuild(task, inputs.value, (id) => ({
      repository: repositories.get(id) ?? '',
      digest: built.get(id)?.child.descriptor.digest ?? '',
    }));
    for (const { reference, why } of prepared.unpinned) {
      if (told.has(reference)) continue;
      told.add(reference);
      const message = `${reference} is not pinned to a digest, and builds on it are not reused by other runs: ${why}`;
      run.emit({ type: 'warning', task: task.id, message, time: run.clock.now() });
    }
    return ok(prepared);
  }

  /** Under its key, for every run to find. Not where it is not known what exactly was built. */
  async function writeKey(prepared: PreparedBuild, made: Built): Promise<Result<void>> {
    const { task, key, parts, unpinned } = prepared;
    if (unpinned.length > 0) return ok(undefined);
    const after = await run.readInputs(task, true);
    if (!after.ok || after.value.context !== parts.context) {
      const message = `the files of '${task.image}' changed while it was built: the next run builds it again`;
      run.emit({ type: 'warning', task: task.id, message, time: run.clock.now() });
      return ok(undefined);
    }
    return keepUnder(task, keyTag(key), made.top, run, signal);
  }

  async function build(task: BuildTask): Promise<Result<void>> {
    const since = run.clock.now();
    const first = await prepare(task, false);
    if (!first.ok) return reject(task, since, first.failure);
    const failed = (failure: Failure, retry: boolean): unknown => reject(task, since, failure, retry);
    let anew = false;
    const found = await tried(
      async (): Promise<Result<Built | undefined>> => {
        const staged = await findStaged(first.value);
        if (!staged.ok || !staged.value) return staged;
        const { key, child } = staged.value;
        const suspect = await isSuspect(task, key, child, plan, history, run, signal);
        if (suspect.ok) anew = suspect.value;
        return suspect.ok ? ok(anew ? undefined : staged.value) : suspect;
      },
      failed,
      run.clock,
      signal,
    );
    if (!found.ok) return found;
    if (found.value) {
      const { key } = found.value;
      built.set(task.id, found.value);
      await run.keepParts?.(task, { key, parts: first.value.parts, image: found.value });
      return reuse(task, found.value, key);
    }
    // What was looked at when the run began may have changed since: the engine gets what is there now.
    const again = await prepare(task, true);
    if (!again.ok) return reject(task, since, again.failure);
    const prepared = again.value;
    const { key } = prepared;
    const before = history.unfinished.get(task.id);
    const begunOn = before?.key === key ? before.builder : undefined;
    const made = await onBuilders(
      task,
      preferring(begunOn ?? builderOfParents(task, (id) => built.get(id)?.local?.builder)),
      { key, stagedTag: stagedTagOf(task, run.id) },
      async (lease, attempt) => {
        // The push may have been done, and only the word of it lost.
        const pushed = attempt > 1 ? await readOwn(task, key) : ok(undefined);
        const done =
          pushed.ok && pushed.value
            ? ok(pushed.value)
            : await runBuild(prepared, lease, mayFollow(task), anew ? { ...run, noCache: true } : run, signal);
        const kept = done.ok ? await writeKey(prepared, done.value) : ok(undefined);
        return kept.ok ? done : kept;
      },
    );
    if (!made.ok) return made;
    const { value, since: begun } = made.value;
    built.set(task.id, value);
    if (value.local) nameOn(value.local.engine, value.local.reference);
    await run.keepParts?.(task, { key, parts: prepared.parts, image: value });
    const pushMs = value.local ? run.clock.now() - value.local.builtAt : 0;
    return finish(task, begun, { digest: value.child.descriptor.digest, stagedTag: value.stagedTag, key, pushMs });
  }

  async function test(task: TestTask): Promise<Result<void>> {
    const since = run.clock.now();
    const made = built.get(task.build);
    if (!made) return reject(task, since, { kind: 'verification', message: `nothing was built for '${task.build}'` });
    const { digest } = made.child.descriptor;
    const key = testKey(task, digest);
    const before = history.unfinished.get(task.id);
    if (!run.noCache) {
      if (before?.key === key && before.digest !== undefined) return reuse(task, made, key);
      const failed = (failure: Failure, retry: boolean): unknown => reject(task, since, failure, retry);
      const passed = await tried(() => wasTested(task, digest, run, signal), failed, run.clock, signal);
      if (!passed.ok) return passed;
      if (passed.value) return reuse(task, made, key);
    }
    if (!options.build) return reject(task, since, untested(task));
    const tested = await onBuilders(task, preferring(made.local?.builder), {}, async (lease) => {
      const reference = await runTest(task, made, lease, run, signal);
      if (!reference.ok) return reference;
      nameOn(lease.builder.engine, reference.value);
      return markTested(task, made, run, signal);
    });
    if (!tested.ok) return tested;
    return finish(task, tested.value.since, { digest, stagedTag: made.stagedTag, key });
  }

  /** Does a task's work on one builder after the other until it is done, fails for good, or was tried often enough. */
  async function onBuilders<T>(
    task: BuildTask | TestTask,
    wishes: Wishes,
    found: { key?: string; stagedTag?: string },
    work: (lease: Lease, attempt: number) => Promise<Result<T>>,
  ): Promise<Result<{ value: T; since: number }>> {
    const urgency: Wishes = {
      priority: estimated.remaining(task.id),
      expected: (builder, emulated) => estimated.expected(task.id, builder, emulated),
    };
    let wish = wishes;
    let since = run.clock.now();
    return tried(
      async (attempt): Promise<Result<{ value: T; since: number }>> => {
        const lease = await run.fleet.acquire(task.platform, task.mode, signal, { ...urgency, ...wish });
        since = run.clock.now();
        if (!lease.ok) return lease;
        const { builder, emulated } = lease.value;
        run.emit({
          type: 'task-started',
          task: task.id,
          builder: builder.name,
          emulated,
          attempt,
          time: since,
          ...found,
        });
        const result = await work(lease.value, attempt);
        const suspect = !result.ok && isTransient(result.failure) && !signal.aborted;
        await lease.value.release(suspect);
        wish = { avoid: builder.name };
        return result.ok ? ok({ value: result.value, since }) : result;
      },
      (failure, retry) => reject(task, since, failure, retry),
      run.clock,
      signal,
    );
  }

  /** What is left to do shrinks, whatever became of it. */
  const counted =
    <T extends BuildTask | TestTask>(work: (task: T) => Promise<Result<void>>) =>
    async (task: T): Promise<Result<void>> => {
      const result = await work(task);
      ended(task);
      return result;
    };

  return {
    build: counted(build),
    test: counted(test),
    built: (task) => built.get(task),
    stagedTags: () =>
      [...built].flatMap(([id, { stagedTag, key }]) =>
        stagedTag === keyTag(key) ? [] : [{ repository: repositories.get(id) ?? '', tag: stagedTag }],
      ),
    async dropNames() {
      const patience = AbortSignal.timeout(20_000);
      await Promise.all([...names].map(([engine, references]) => engine.untag(references, patience)));
    },
  };
}

function preferring(builder: string | undefined): Wishes {
  return builder === undefined ? {} : { prefer: builder };
}

function notBuilt({ id }: BuildTask): Failure {
  return {
    kind: 'verification',
    message: `'${id}' was not done for this run`,
    help: "'splitbuild build --no-publish' with the same --run-id builds it, on a machine that has a builder of the platform",
  };
}
