// Runs the jobs of a workflow in the order of their requirements. A failed job stops only what requires it.
import type { End } from './event.ts';
import type { RehearsalJob } from './pipeline.ts';

export interface WorkflowRun {
  /** At a time. */
  limit: number;
  run(job: RehearsalJob): Promise<Exclude<End, 'not_run'>>;
  skipped(job: RehearsalJob, because: string): void;
  now(): number;
}

export interface WorkflowEnd {
  outcome: 'success' | 'failed' | 'interrupted';
  longest: { jobs: string[]; durationMs: number };
}

export async function runWorkflow(
  jobs: RehearsalJob[],
  { limit, run, skipped, now }: WorkflowRun,
  signal: AbortSignal,
): Promise<WorkflowEnd> {
  const ends = new Map<string, End>();
  const durations = new Map<string, number>();
  const running = new Map<string, Promise<void>>();
  const start = async (job: RehearsalJob): Promise<void> => {
    const started = now();
    ends.set(job.name, await run(job));
    durations.set(job.name, now() - started);
    running.delete(job.name);
  };
  for (;;) {
    // Those that can't start any more may keep others from starting: until nothing changes.
    for (let changed = true; changed; ) {
      changed = false;
      for (const job of jobs) {
        if (ends.has(job.name) || running.has(job.name)) continue;
        const obstacle = job.requires.find(({ job: name, ends: wanted }) => {
          const end = ends.get(name);
          return end !== undefined && !wanted.has(end);
        });
        if (!obstacle) continue;
        const end = ends.get(obstacle.job);
        ends.set(job.name, 'not_run');
        changed = true;
        if (!signal.aborted)
          skipped(job, `${obstacle.job} ${end === 'success' ? 'succeeded' : end === 'not_run' ? 'was not run' : end}`);
      }
    }
    for (const job of jobs) {
      if (signal.aborted || running.size >= limit) break;
      const ready = job.requires.every(({ job: name }) => ends.has(name));
      if (ready && !ends.has(job.name) && !running.has(job.name)) running.set(job.name, start(job));
    }
    if (running.size === 0) break;
    await Promise.race(running.values());
  }
  const failed = jobs.some(({ name }) => ends.get(name) === 'failed');
  const outcome = signal.aborted ? 'interrupted' : failed ? 'failed' : 'success';
  return { outcome, longest: longestChain(jobs, durations) };
}

/** Of those that ran. `jobs` come in the order of their requirements. */
export function longestChain(jobs: RehearsalJob[], durations: ReadonlyMap<string, number>): WorkflowEnd['longest'] {
  const chains = new Map<string, WorkflowEnd['longest']>();
  let longest: WorkflowEnd['longest'] = { jobs: [], durationMs: 0 };
  for (const { name, requires } of jobs) {
    const own = durations.get(name);
    if (own === undefined) continue;
    const before = requires.flatMap(({ job }) => chains.get(job) ?? []).sort((a, b) => b.durationMs - a.durationMs)[0];
    const chain = { jobs: [...(before?.jobs ?? []), name], durationMs: (before?.durationMs ?? 0) + own };
    chains.set(name, chain);
    if (longest.jobs.length === 0 || chain.durationMs > longest.durationMs) longest = chain;
  }
  return longest;
}

/** All jobs that each job requires, directly or not. */
export function requiredJobs(jobs: RehearsalJob[]): Map<string, Set<string>> {
  const all = new Map<string, Set<string>>();
  for (const { name, requires } of jobs) {
    all.set(name, new Set(requires.flatMap(({ job }) => [job, ...(all.get(job) ?? [])])));
  }
  return all;
}
