// The longest chain of tasks, by what each took or is expected to take. Pure.
import type { Plan } from './plan.ts';

export interface CriticalPath {
  /** Task ids, first to last. */
  path: string[];
  /** Sum of their durations, ms. */
  durationMs: number;
}

/** `duration` gives a task's time in ms; the plan's tasks come after what they need. */
export function criticalPath(plan: Plan, duration: (task: string) => number): CriticalPath {
  const longest = new Map<string, CriticalPath>();
  let best: CriticalPath = { path: [], durationMs: 0 };
  for (const task of plan.tasks) {
    let before: CriticalPath = { path: [], durationMs: 0 };
    for (const need of task.needs) {
      const chain = longest.get(need);
      if (chain && chain.durationMs > before.durationMs) before = chain;
    }
    const chain = { path: [...before.path, task.id], durationMs: before.durationMs + duration(task.id) };
    longest.set(task.id, chain);
    if (chain.durationMs > best.durationMs) best = chain;
  }
  return best;
}
