// Who may have the slot of a build that is built and still has to be pushed.
import { formatPlatform, type Platform } from '../image/platform.ts';
import { candidates } from './candidates.ts';
import { remainingPaths } from './critical-path.ts';
import type { Estimate } from './estimate.ts';
import type { BuildTask, Plan, Task, TestTask } from './plan.ts';

/** A task that waits for a slot: how urgent it is, and what it will take there; ms. */
export interface Next {
  priority: number;
  expected: number;
}

export interface Handover {
  /**
   * The next build goes on beside the push, unless something waits for this push that should have the slot instead: then only what is
   * as urgent as that may have it now, and what is so short that nothing is lost by it. What is left to do, evenly spread over all slots,
   * takes some time in any case: whoever makes the other begin late, but leaves it to end within that time, makes the run no longer.
   */
  mayFollow(task: BuildTask | TestTask): (next: Next) => boolean;
  /** A build or test is done, or will not be. */
  ended(task: Task): void;
}

export function createHandover(
  plan: Plan,
  { expected, remaining }: Pick<Estimate, 'expected' | 'remaining'>,
  builders: { native: Platform[]; emulated: Platform[]; slots: number }[],
): Handover {
  const publishes = new Set(plan.tasks.flatMap(({ kind, id }) => (kind === 'publish' ? [id] : [])));
  /** On builders alone, ms. */
  const chains = remainingPaths(plan, (task) => (publishes.has(task) ? 0 : expected(task)));
  /** Of each build, the most urgent of what waits for it, and the longest chain of builds and tests that begins there; ms. */
  const behind = new Map<string, { priority: number; chain: number }>();
  /** By platform, ms. */
  const left = new Map<string, number>();
  for (const task of plan.tasks) {
    if (task.kind === 'publish') continue;
    add(left, formatPlatform(task.platform), expected(task.id));
    for (const need of task.needs) {
      const { priority = 0, chain = 0 } = behind.get(need) ?? {};
      behind.set(need, {
        priority: Math.max(priority, remaining(task.id)),
        chain: Math.max(chain, chains.get(task.id) ?? 0),
      });
    }
  }
  const slots = new Map<string, number>();
  const slotsOf = (platform: Platform): number => {
    const name = formatPlatform(platform);
    const known = slots.get(name);
    if (known !== undefined) return known;
    const able = candidates(builders, platform, 'emulated');
    const found = Math.max(
      1,
      able.reduce((sum, { builder }) => sum + builder.slots, 0),
    );
    slots.set(name, found);
    return found;
  };

  return {
    mayFollow(task) {
      const { priority, chain } = behind.get(task.id) ?? { priority: 0, chain: 0 };
      const name = formatPlatform(task.platform);
      return (next) =>
        next.priority >= priority ||
        next.expected + chain <= ((left.get(name) ?? 0) - expected(task.id)) / slotsOf(task.platform);
    },
    ended(task) {
      if (task.kind !== 'publish') add(left, formatPlatform(task.platform), -expected(task.id));
    },
  };
}

function add(sums: Map<string, number>, key: string, ms: number): void {
  sums.set(key, (sums.get(key) ?? 0) + ms);
}
