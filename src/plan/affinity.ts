// Where the layers lie that a task begins with. Pure.
import type { Task } from './plan.ts';

/**
 * The builder that has made most of what a task is built on, or the image that it tests; of as many, that of the reference which
 * stands first. `madeOn`: a build task's builder in this run.
 */
export function builderOfParents(task: Task, madeOn: (task: string) => string | undefined): string | undefined {
  if (task.kind === 'publish') return undefined;
  if (task.kind === 'test') return madeOn(task.build);
  const counts = new Map<string, number>();
  for (const { task: upstream } of task.upstreams) {
    const builder = madeOn(upstream);
    if (builder !== undefined) counts.set(builder, (counts.get(builder) ?? 0) + 1);
  }
  let best: string | undefined;
  for (const [builder, count] of counts) if (best === undefined || count > (counts.get(best) ?? 0)) best = builder;
  return best;
}
