// Builds and tests of a run: what is there already is taken, the rest is built on a builder, elsewhere or later where that fails.
import type { Engine } from '../engine/engine.ts';
import { type Failure, fail, ok, type Result } from '../failure.ts';
import type { Lease, Wishes } from '../fleet/fleet.ts';
import { builderOfParents } from '../plan/affinity.ts';
import { estimate } from '../plan/estimate.ts';
import type { BuildTask, TestTask } from '../plan/plan.ts';
import { isTransient, tried } from './attempts.ts';
import { type Built, prepareBuild, readNewlyStaged, readStaged, runBuild, stagedTagOf } from './build-task.ts';
import type { Execution } from './execute.ts';
import { markTested, runTest, testKey, untested, wasTested } from './test-task.ts';

export interface Builds {
  build(task: BuildTask): Promise<Result<void>>;
  test(task: TestTask): Promise<Result<void>>;
  /** What a build task left, once it is done. */
  built(task: string): Built | undefined;
  /** Every staged tag that this run has made or taken over, with its repository. */
  stagedTags(): { repository: string; tag: string }[];
  /** Drops the engines' own names for what was pushed. They are kept until then, so that downstream builds find their upstream there. */
  dropNames(): Promise<void>;
}

export function createBuilds({ plan, run, history, signal, options, finish, reject }: Execution): Builds {
  const built = new Map<string, Built>();
  const names = new Map<Engine, string[]>();
  const estimated = estimate(plan, history, run.fleet.builders);
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

  /** What was pushed for the same key before; undefined where it has to be built. */
  async function findStaged(task: BuildTask, key: string): Promise<Result<Built | undefined>> {
    const before = history.unfinished.get(task.id);
    if (before?.key === key) {
      const read = before.digest === undefined ? readNewlyStaged : readStaged;
      const child = await read(task, before.stagedTag, run, signal);
      const same = child.ok && (before.digest === undefined || child.value.descriptor.digest === before.digest);
      if (same) return ok({ child: child.value, stagedTag: before.stagedTag, key });
      if (!child.ok && mayPass(child.failure)) return child;
    }
    if (!run.shared) return ok(undefined);
    const child = await readOwn(task, key);
    return child.ok && !child.value && !options.build ? fail(notBuilt(task)) : child;
  }

  /** What this run itself, or another process of it, has pushed already. */
  async function readOwn(task: BuildTask, key: string): Promise<Result<Built | undefined>> {
    const stagedTag = stagedTagOf(task, run.id);
    const child = await readNewlyStaged(task, stagedTag, run, signal);
    if (child.ok) return ok({ child: child.value, stagedTag, key });
    return child.failure.kind === 'registry' && child.failure.status === 404 ? ok(undefined) : child;
  }

  async function build(task: BuildTask): Promise<Result<void>> {
    const since = run.clock.now();
    const inputs = await run.readInputs(task);
    if (!inputs.ok) return reject(task, since, inputs.failure);
    const prepared = prepareBuild(task, inputs.value, (id) => ({
      repository: repositories.get(id) ?? '',
      digest: built.get(id)?.child.descriptor.digest ?? '',
    }));
    const { key } = prepared;
    const failed = (failure: Failure, retry: boolean): unknown => reject(task, since, failure, retry);
    const found = await tried(() => findStaged(task, key), failed, run.clock, signal);
    if (!found.ok) return found;
    if (found.value) {
      built.set(task.id, found.value);
      return reuse(task, found.value, key);
    }
    const before = history.unfinished.get(task.id);
    const begunOn = before?.key === key ? before.builder : undefined;
    const made = await onBuilders(
      task,
      preferring(begunOn ?? builderOfParents(task, (id) => built.get(id)?.local?.builder)),
      { key, stagedTag: stagedTagOf(task, run.id) },
      async (lease, attempt) => {
        // The push may have been done, and only the word of it lost.
        const pushed = attempt > 1 ? await readOwn(task, key) : ok(undefined);
        return pushed.ok && pushed.value ? ok(pushed.value) : runBuild(prepared, lease, run, signal);
      },
    );
    if (!made.ok) return made;
    const { value, since: begun } = made.value;
    built.set(task.id, value);
    if (value.local) nameOn(value.local.engine, value.local.reference);
    return finish(task, begun, { digest: value.child.descriptor.digest, stagedTag: value.stagedTag, key });
  }

  async function test(task: TestTask): Promise<Result<void>> {
    const since = run.clock.now();
    const made = built.get(task.build);
    if (!made) return reject(task, since, { kind: 'verification', message: `nothing was built for '${task.build}'` });
    const key = testKey(task, made);
    const before = history.unfinished.get(task.id);
    if (before?.key === key && before.digest !== undefined) return reuse(task, made, key);
    if (run.shared) {
      const failed = (failure: Failure, retry: boolean): unknown => reject(task, since, failure, retry);
      const passed = await tried(() => wasTested(task, made, run, signal), failed, run.clock, signal);
      if (!passed.ok) return passed;
      if (passed.value) return reuse(task, made, key);
      if (!options.build) return reject(task, since, untested(task));
    }
    const tested = await onBuilders(task, preferring(made.local?.builder), {}, async (lease) => {
      const reference = await runTest(task, made, lease, run, signal);
      if (!reference.ok) return reference;
      nameOn(lease.builder.engine, reference.value);
      return run.shared ? markTested(task, made, run, signal) : ok(undefined);
    });
    if (!tested.ok) return tested;
    const { digest } = made.child.descriptor;
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

  return {
    build,
    test,
    built: (task) => built.get(task),
    stagedTags: () =>
      [...built].map(([id, { stagedTag }]) => ({ repository: repositories.get(id) ?? '', tag: stagedTag })),
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

/** It may be there, and could not be looked at: to build it again would be to build it twice. */
function mayPass(failure: Failure): boolean {
  return failure.kind === 'cancelled' || isTransient(failure);
}
