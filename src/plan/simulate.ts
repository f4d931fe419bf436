// A plan carried out with nothing but time: every task takes as long as it is expected to, on the builders that the scheduler gives it.
import type { Clock } from '../clock.ts';
import { type Failure, fail, ok, type Result } from '../failure.ts';
import type { Platform } from '../image/platform.ts';
import { builderOfParents } from './affinity.ts';
import { type CriticalPath, criticalPath } from './critical-path.ts';
import type { Estimate } from './estimate.ts';
import type { Handover, Next } from './handover.ts';
import type { Plan, Task } from './plan.ts';

/** A scheduler, as far as is needed of it: the fleet's own. */
export type Acquire = (
  platform: Platform,
  mode: 'native' | 'emulated',
  signal: AbortSignal,
  wishes: { priority: number; prefer?: string; expected(builder: string, emulated: boolean): number },
) => Promise<
  Result<{
    builder: { name: string };
    emulated: boolean;
    offerSlot(to: (next: Next) => boolean): void;
    release(): Promise<void>;
  }>
>;

export interface Step {
  task: string;
  /** Absent where the coordinator does it itself. */
  builder?: string;
  /** Of that builder, from 0. */
  slot?: number;
  emulated: boolean;
  /** Ms since the beginning. */
  start: number;
  end: number;
  /** When another may have its slot: where it is built, and pushes. */
  slotEnd: number;
  /** Ms between its last need's end and its start. */
  waitedMs: number;
}

export interface Schedule {
  /** In the order in which they started. */
  steps: Step[];
  wallMs: number;
  /** By the times that tasks take where they are. */
  critical: CriticalPath;
}

export interface SimulatedWorld {
  clock: Clock;
  acquire: Acquire;
  handover: Handover;
}

/** Fails where no builder can take a task. Needs that the plan has not are taken as met. */
export async function simulate(
  plan: Plan,
  estimate: Pick<Estimate, 'expected' | 'pushing' | 'remaining'>,
  { clock, acquire, handover }: SimulatedWorld,
): Promise<Result<Schedule>> {
  const begun = clock.now();
  const stop = new AbortController();
  const steps: Step[] = [];
  const slots = new Map<string, boolean[]>();
  const madeOn = new Map<string, string>();
  const ids = new Set(plan.tasks.map(({ id }) => id));
  const unmet = new Map(plan.tasks.map(({ id, needs }) => [id, needs.filter((need) => ids.has(need)).length]));
  const followers = new Map<string, Task[]>(plan.tasks.map(({ id }) => [id, []]));
  for (const task of plan.tasks) for (const need of task.needs) followers.get(need)?.push(task);
  let failure: Failure | undefined;

  async function spend(
    step: Omit<Step, 'start' | 'end' | 'slotEnd'>,
    ms: number,
    pushing = 0,
    built?: () => void,
  ): Promise<void> {
    const start = clock.now() - begun;
    steps.push({ ...step, start, end: start + ms, slotEnd: start + ms - pushing });
    await clock.sleep(ms - pushing, stop.signal);
    built?.();
    if (pushing > 0) await clock.sleep(pushing, stop.signal);
  }

  async function carryOut(task: Task): Promise<boolean> {
    if (task.kind === 'publish') {
      await spend({ task: task.id, emulated: false, waitedMs: 0 }, estimate.expected(task.id));
      return true;
    }
    const ready = clock.now();
    const prefer = builderOfParents(task, (id) => madeOn.get(id));
    const lease = await acquire(task.platform, task.mode, stop.signal, {
      priority: estimate.remaining(task.id),
      expected: (builder, emulated) => estimate.expected(task.id, builder, emulated),
      ...(prefer === undefined ? {} : { prefer }),
    });
    if (!lease.ok) {
      failure ??= lease.failure;
      stop.abort();
      return false;
    }
    const { builder, emulated, offerSlot, release } = lease.value;
    const taken = slots.get(builder.name) ?? [];
    slots.set(builder.name, taken);
    const free = taken.indexOf(false);
    const slot = free < 0 ? taken.length : free;
    taken[slot] = true;
    const where = { task: task.id, builder: builder.name, slot, emulated, waitedMs: clock.now() - ready };
    const took = estimate.expected(task.id, builder.name, emulated);
    await spend(where, took, estimate.pushing(task.id, builder.name, emulated), () => {
      taken[slot] = false;
      offerSlot(handover.mayFollow(task));
    });
    madeOn.set(task.id, builder.name);
    await release();
    handover.ended(task);
    return true;
  }

  // Counted rather than awaited by what they follow: of a large plan, that would keep every task until the last one's end.
  const done = Promise.withResolvers<void>();
  let working = 0;
  function begin(tasks: Task[]): void {
    working += tasks.length;
    for (const task of tasks) work(task).then(ended, done.reject);
  }
  function ended(): void {
    working -= 1;
    if (working === 0) done.resolve();
  }

  async function work(task: Task): Promise<void> {
    if (!(await carryOut(task)) || stop.signal.aborted) return;
    begin(
      (followers.get(task.id) ?? []).filter(({ id }) => {
        const left = (unmet.get(id) ?? 0) - 1;
        unmet.set(id, left);
        return left === 0;
      }),
    );
  }

  const first = plan.tasks.filter(({ id }) => unmet.get(id) === 0);
  begin(first);
  if (first.length > 0) await done.promise;
  if (failure) return fail(failure);
  const took = new Map(steps.map(({ task, start, end }) => [task, end - start]));
  return ok({ steps, wallMs: clock.now() - begun, critical: criticalPath(plan, (task) => took.get(task) ?? 0) });
}
