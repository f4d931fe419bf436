// The longest chain of tasks, by what each took or is expected to take, and how far each is from the end. Pure.
import type { Plan } from './plan.ts';

export interface CriticalPath {
  /** Task ids, first to last. */
  path: string[];
  /** Sum of their durations, ms. */
  durationMs: number;
}

/** `duration` gives a task's time in ms; the plan's tasks come after what they need. */
export function criticalPath(plan: Plan, duration: (task: string) => number): CriticalPath {
  interface Chain {
    task: string;
    durationMs: number;
    before: Chain | undefined;
  }
  const longest = new Map<string, Chain>();
  let best: Chain | undefined;
  for (const task of plan.tasks) {
    let before: Chain | undefined;
    for (const need of task.needs) {
      const chain = longest.get(need);
      if (chain && chain.durationMs > (before?.durationMs ?? 0)) before = chain;
    }
    const chain = { task: task.id, durationMs: (before?.durationMs ?? 0) + duration(task.id), before };
    longest.set(task.id, chain);
    if (chain.durationMs > (best?.durationMs ?? 0)) best = chain;
  }
  const path: string[] = [];
  for (let chain = best; chain; chain = chain.before) path.push(chain.task);
  return { path: path.reverse(), durationMs: best?.durationMs ?? 0 };
}

/** Of each task, the longest chain from its beginning to the end of the plan, ms. */
export function remainingPaths(plan: Plan, duration: (task: string) => number): Map<string, number> {
  const remaining = new Map<string, number>();
  const after = new Map<string, number>();
  for (const task of [...plan.tasks].reverse()) {
    const own = duration(task.id) + (after.get(task.id) ?? 0);
    remaining.set(task.id, own);
    for (const need of task.needs) after.set(need, Math.max(after.get(need) ?? 0, own));
  }
  return remaining;
}
