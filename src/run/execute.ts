// The executor: starts each task as soon as what it needs is done, and says everything that happens as events.
import { type Failure, fail, ok, type Result } from '../failure.ts';
import { formatPlatform } from '../image/platform.ts';
import { criticalPath } from '../plan/critical-path.ts';
import type { Plan, PublishTask, Task } from '../plan/plan.ts';
import { createBuilds } from './builds.ts';
import type { RunContext } from './context.ts';
import type { History } from './journal.ts';
import { maskSecrets, secretValues } from './mask.ts';
import { createPublishing } from './publishing.ts';

export type Outcome = 'done' | 'failed' | 'interrupted';

export interface ExecuteOptions {
  publish: boolean;
  /** False: what is not there already is a failure. */
  build: boolean;
}

/** What the parts of the executor share. */
export interface Execution {
  plan: Plan;
  run: RunContext;
  history: History;
  signal: AbortSignal;
  options: ExecuteOptions;
  /** A task is done; its time counts from `since`, but for what `waitedMs` of it was spent waiting for others. */
  finish(task: Task, since: number, made: Made, waitedMs?: number): Result<void>;
  /** A task, or an attempt at it, failed. */
  reject(task: Task, since: number, failure: Failure, willRetry?: boolean): Result<never>;
  skip(task: Task, because: string): Result<never>;
}

export interface Made {
  digest?: string;
  stagedTag?: string;
  key?: string;
  /** Of a build's time, what went by once it was built. */
  pushMs?: number;
}

/** Runs a whole plan. A failed task stops only what depends on it; the outcome tells whether all was done. */
export async function execute(
  plan: Plan,
  context: RunContext,
  history: History,
  signal: AbortSignal,
  options: ExecuteOptions,
): Promise<Outcome> {
  const run: RunContext = {
    ...context,
    emit: maskSecrets(context.emit, secretValues(plan, context.env)),
  };
  const { clock, emit, fleet } = run;
  const started = clock.now();
  const durations = new Map<string, number>();
  emit({
    type: 'run-started',
    run: run.id,
    plan,
    builders: fleet.builders.map((builder) => ({
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
  for (const { name, failure } of fleet.sick) {
    emit({ type: 'builder-lost', builder: name, failure, time: clock.now() });
  }
  fleet.onHealth((builder, failure) => {
    if (failure) emit({ type: 'builder-lost', builder, failure, time: clock.now() });
    else emit({ type: 'builder-back', builder, time: clock.now() });
  });

  const execution: Execution = {
    ...{ plan, run, history, signal, options },
    finish(task, since, made, waitedMs = 0) {
      const durationMs = clock.now() - since - waitedMs;
      durations.set(task.id, durationMs);
      emit({ type: 'task-finished', task: task.id, durationMs, time: clock.now(), ...made });
      return ok(undefined);
    },
    reject(task, since, failure, willRetry = false) {
      const durationMs = clock.now() - since;
      emit({ type: 'task-failed', task: task.id, durationMs, failure, willRetry, time: clock.now() });
      return fail(failure);
    },
    skip(task, because) {
      emit({ type: 'task-skipped', task: task.id, because, time: clock.now() });
      return fail({ kind: 'cancelled' });
    },
  };
  const builds = createBuilds(execution);
  const publishing = createPublishing(execution, builds);
  const results = new Map<string, Promise<Result<void>>>();

  /** The first need that was not done, if any. */
  async function unmet(task: Task): Promise<string | undefined> {
    const needs = await Promise.all(task.needs.map(async (id) => ({ id, result: await results.get(id) })));
    return needs.find(({ result }) => result && !result.ok)?.id;
  }

  async function start(task: Task): Promise<Result<void>> {
    const missing = await unmet(task);
    if (signal.aborted) return publishing.leave(task, 'interrupted');
    const carries = task.kind === 'publish' && plan.failedPlatform === 'carry';
    if (missing !== undefined && !carries) return publishing.leave(task, `${missing} was not done`);
    if (task.kind === 'build') return builds.build(task);
    if (task.kind === 'test') return builds.test(task);
    return publishing.stage(task, await failedPlatforms(task));
  }

  /** Builds of a publish task that failed, or whose tests did. */
  async function failedPlatforms(task: PublishTask): Promise<ReadonlySet<string>> {
    const failed = new Set<string>();
    for (const id of task.needs) {
      const result = await results.get(id);
      if (result?.ok !== false) continue;
      const need = plan.tasks.find((one) => one.id === id);
      failed.add(need?.kind === 'test' ? need.build : id);
    }
    return failed;
  }

  const tasks = plan.tasks.filter((task) => options.publish || task.kind !== 'publish');
  for (const task of tasks) results.set(task.id, start(task));
  const builtAll = Promise.all(tasks.map(({ id, kind }) => (kind === 'publish' ? undefined : results.get(id))));
  // Beside the last publications, which need no engine.
  const dropped = builtAll.then(() => builds.dropNames());
  const staged = await Promise.all(results.values());
  const published = await publishing.finished();
  const done = !signal.aborted && staged.every(({ ok }) => ok) && published;
  const outcome: Outcome = signal.aborted ? 'interrupted' : done ? 'done' : 'failed';
  const longest = criticalPath(plan, (task) => durations.get(task) ?? 0);
  emit({
    type: 'run-finished',
    run: run.id,
    outcome,
    wallMs: clock.now() - started,
    criticalPathMs: longest.durationMs,
    criticalPath: longest.path,
    time: clock.now(),
  });
  await dropped;
  if (done && options.publish) await publishing.dropStagedTags();
  return outcome;
}
