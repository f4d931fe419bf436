// The executor: starts each task as soon as what it needs is done, and says everything that happens as events.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Engine } from '../engine/engine.ts';
import { type Failure, fail, ok, type Result } from '../failure.ts';
import type { Child } from '../image/join.ts';
import { formatPlatform } from '../image/platform.ts';
import { readPlatformImage } from '../image/read.ts';
import { criticalPath } from '../plan/critical-path.ts';
import type { BuildTask, Plan, PublishTask, Task } from '../plan/plan.ts';
import { type Built, prepareBuild, runBuild, secretValue, stagedTagOf } from './build-task.ts';
import type { RunContext } from './context.ts';
import type { History } from './journal.ts';
import { maskSecrets } from './mask.ts';
import { moveTags, type Staged, stageImage } from './publish-task.ts';

export type Outcome = 'done' | 'failed' | 'interrupted';

const attempts = 3;

/** Runs a whole plan. A failed task stops only what depends on it; the outcome tells whether all was done. */
export async function execute(
  plan: Plan,
  context: RunContext,
  history: History,
  signal: AbortSignal,
  options: { publish: boolean /** False: what is not there already is a failure. */; build: boolean },
): Promise<Outcome> {
  const secrets = plan.tasks.flatMap((task) => (task.kind === 'build' ? task.secrets : []));
  const values = secrets.flatMap((name) => secretValue(name, context.env) ?? []);
  const run: RunContext = { ...context, emit: maskSecrets(context.emit, values) };
  const started = run.now();
  const durations = new Map<string, number>();
  const built = new Map<string, Built>();
  const staged = new Map<string, Staged>();
  const repositories = new Map(plan.tasks.map((task) => [task.id, task.repository]));
  const results = new Map<string, Promise<Result<void>>>();
  run.emit({
    type: 'run-started',
    run: run.id,
    plan,
    builders: run.fleet.builders.map((builder) => ({
      name: builder.name,
      endpoint: builder.endpoint,
      engine: `${builder.info.engine} ${builder.info.version} (${builder.info.client})`,
      native: builder.native.map(formatPlatform),
      emulated: builder.emulated.map(formatPlatform),
      slots: builder.slots,
    })),
    lastDurations: history.durations,
    time: started,
  });

  const finish = (
    task: string,
    since: number,
    extra: { digest?: string; stagedTag?: string; key?: string },
  ): Result<void> => {
    const durationMs = run.now() - since;
    durations.set(task, durationMs);
    run.emit({ type: 'task-finished', task, durationMs, time: run.now(), ...extra });
    return ok(undefined);
  };

  /** What an earlier run, or another process of this one, has pushed. */
  const readStaged = (task: BuildTask, tag: string): Promise<Result<Child>> => {
    const reference = { registry: run.registryAddress, repository: task.repository, tag };
    return readPlatformImage(run.registry, reference, task.platform, signal);
  };

  const reuse = (task: BuildTask, made: Built): Result<void> => {
    const { child, stagedTag, key } = made;
    built.set(task.id, made);
    run.emit({
      type: 'task-reused',
      task: task.id,
      digest: child.descriptor.digest,
      stagedTag,
      key,
      time: run.now(),
    });
    return ok(undefined);
  };

  const build = async (task: BuildTask): Promise<Result<void>> => {
    const prepared = await prepareBuild(task, (id) => ({
      repository: repositories.get(id) ?? '',
      digest: built.get(id)?.child.descriptor.digest ?? '',
    }));
    if (!prepared.ok) return reject(task, run.now(), prepared.failure, false);
    const { key } = prepared.value;
    const before = history.unfinished.get(task.id);
    if (before?.key === key) {
      const child = await readStaged(task, before.stagedTag);
      if (child.ok && child.value.descriptor.digest === before.digest) {
        return reuse(task, { child: child.value, stagedTag: before.stagedTag, key });
      }
    }
    if (run.shared) {
      const stagedTag = stagedTagOf(task, run.id);
      const child = await readStaged(task, stagedTag);
      if (child.ok) return reuse(task, { child: child.value, stagedTag, key });
      const absent = child.failure.kind === 'registry' && child.failure.status === 404;
      if (!absent || !options.build) return reject(task, run.now(), child.failure, false);
    }
    let avoid: string | undefined;
    for (let attempt = 1; ; attempt += 1) {
      const lease = await run.fleet.acquire(task.platform, task.mode, signal, avoid);
      if (!lease.ok) return reject(task, run.now(), lease.failure, false);
      const since = run.now();
      run.emit({
        type: 'task-started',
        task: task.id,
        builder: lease.value.builder.name,
        emulated: lease.value.emulated,
        attempt,
        time: since,
      });
      let result: Result<Built>;
      try {
        result = await runBuild(prepared.value, lease.value, run, signal);
      } finally {
        lease.value.release();
      }
      if (result.ok) {
        built.set(task.id, result.value);
        return finish(task.id, since, {
          digest: result.value.child.descriptor.digest,
          stagedTag: result.value.stagedTag,
          key: result.value.key,
        });
      }
      avoid = lease.value.builder.name;
      const retry = attempt < attempts && isTransient(result.failure) && !signal.aborted;
      const rejected = reject(task, since, result.failure, retry);
      if (!retry) return rejected;
      await sleep(1000 * 2 ** (attempt - 1), undefined, { signal }).catch(() => undefined);
    }
  };

  const publish = async (task: PublishTask): Promise<Result<void>> => {
    const since = run.now();
    run.emit({ type: 'task-started', task: task.id, attempt: 1, time: since });
    const children = new Map([...built].map(([id, made]) => [id, made.child]));
    const ready = await stageImage(task, children, run, signal);
    if (!ready.ok) return reject(task, since, ready.failure, false);
    staged.set(task.id, ready.value);
    if (plan.publish === 'image') {
      const moved = await moveTags(ready.value, run, signal);
      if (!moved.ok) return reject(task, since, moved.failure, false);
    }
    return finish(task.id, since, { digest: ready.value.digest });
  };

  function reject(task: Task, since: number, failure: Failure, willRetry: boolean): Result<never> {
    run.emit({
      type: 'task-failed',
      task: task.id,
      durationMs: run.now() - since,
      failure,
      willRetry,
      time: run.now(),
    });
    return fail(failure);
  }

  const start = async (task: Task): Promise<Result<void>> => {
    const needs = await Promise.all(task.needs.map(async (id) => ({ id, result: await results.get(id) })));
    const failed = needs.find((need) => need.result && !need.result.ok);
    if (signal.aborted || failed) {
      run.emit({
        type: 'task-skipped',
        task: task.id,
        because: failed ? `${failed.id} was not done` : 'interrupted',
        time: run.now(),
      });
      return fail({ kind: 'cancelled' });
    }
    return task.kind === 'build' ? build(task) : publish(task);
  };

  const tasks = plan.tasks.filter((task) => options.publish || task.kind === 'build');
  for (const task of tasks) results.set(task.id, start(task));
  const all = await Promise.all(results.values());
  let outcome: Outcome = signal.aborted ? 'interrupted' : all.every((result) => result.ok) ? 'done' : 'failed';
  if (outcome === 'done' && plan.publish === 'family') {
    for (const ready of staged.values()) {
      const moved = await moveTags(ready, run, signal);
      if (!moved.ok) {
        run.emit({
          type: 'task-failed',
          task: 'publish',
          durationMs: 0,
          failure: moved.failure,
          willRetry: false,
          time: run.now(),
        });
        outcome = signal.aborted ? 'interrupted' : 'failed';
        break;
      }
    }
  }
  const longest = criticalPath(plan, (task) => durations.get(task) ?? 0);
  run.emit({
    type: 'run-finished',
    run: run.id,
    outcome,
    wallMs: run.now() - started,
    criticalPathMs: longest.durationMs,
    criticalPath: longest.path,
    time: run.now(),
  });
  await dropNames(built);
  return outcome;
}

/** The engines' own names for what a run has pushed. They are kept until then, so that downstream builds find their upstream there. */
async function dropNames(built: Map<string, Built>): Promise<void> {
  const names = new Map<Engine, string[]>();
  for (const { local } of built.values()) {
    if (local) names.set(local.engine, [...(names.get(local.engine) ?? []), local.reference]);
  }
  const patience = AbortSignal.timeout(20_000);
  await Promise.all([...names].map(([engine, references]) => engine.untag(references, patience)));
}

function isTransient(failure: Failure): boolean {
  return (failure.kind === 'engine' || failure.kind === 'registry' || failure.kind === 'source') && failure.transient;
}
