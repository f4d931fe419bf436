// Performs a rehearsal from its first event to its last: what the jobs share, and what is said of them.
import { randomUUID } from 'node:crypto';
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { createMask, maskTexts } from '../secret.ts';
import type { Machines } from './builders.ts';
import type { Repository } from './checkout.ts';
import type { Contexts } from './contexts.ts';
import type { Emit } from './event.ts';
import { runJob } from './job.ts';
import type { Rehearsal, RehearsalJob, Trigger } from './pipeline.ts';
import { requiredJobs, runWorkflow, type WorkflowEnd } from './run.ts';
import { defaultShell } from './shell.ts';
import { type GhCall, installers } from './tools.ts';
import { createWorkspace } from './workspace.ts';

export interface Performance {
  rehearsal: Rehearsal;
  trigger: Trigger;
  repository: Repository;
  contexts: Contexts;
  machines: Machines;
  /** The docker client that the steps get; undefined where there is none and no job needs one. */
  dockerProgram: string | undefined;
  dockerConfig: string | undefined;
  allowGh: boolean;
  /** File that the calls of gh are added to. */
  record: string | undefined;
  /** Jobs at a time. */
  limit: number;
  /** For everything that the jobs make. */
  folder: string;
  env: Readonly<Record<string, string | undefined>>;
  /** Gets every event, with the values of contexts masked. */
  show: Emit;
  now(): number;
}

/** By these the events of a job belong together. */
const kept: ReadonlySet<string> = new Set(['type', 'job', 'jobs', 'requires', 'end', 'outcome']);

/** Whether a job needs an engine: a virtual machine has one at CircleCI. */
export function usesDocker(job: RehearsalJob): boolean {
  return job.machine || job.steps.some(({ kind }) => kind === 'remote-docker');
}

export async function perform(performance: Performance, signal: AbortSignal): Promise<WorkflowEnd['outcome']> {
  const { rehearsal, trigger, repository, contexts, machines, folder, now, env } = performance;
  const { jobs, workflow } = rehearsal;
  const valuesOf = (job: RehearsalJob): Record<string, string>[] =>
    job.contexts.map((name) => contexts.get(name) ?? {});
  const mask = createMask(jobs.flatMap((job) => valuesOf(job).flatMap((values) => Object.values(values))));
  const emit: Emit = (event) => performance.show(maskTexts(event, mask, kept));
  const recorded = (job: string, call: GhCall): void => {
    const args = call.args.map(mask);
    emit({ type: 'job-note', at: now(), job, text: `gh ${args.join(' ')}: recorded, not run` });
    if (performance.record !== undefined) {
      appendFileSync(performance.record, `${JSON.stringify({ job, ...call, args })}\n`);
    }
  };
  const started = now();
  const ref = `${trigger.ref.kind} ${trigger.ref.name}`;
  const summary = jobs.map(({ name, requires }) => ({ name, requires: requires.map(({ job }) => job) }));
  emit({ type: 'rehearsal-started', at: started, workflow, ref, jobs: summary, notes: headNotes(performance) });
  const required = requiredJobs(jobs);
  const workspace = createWorkspace(join(folder, 'workspace'), (job) => required.get(job) ?? new Set());
  const workflowId = randomUUID();
  const run = (job: RehearsalJob): ReturnType<typeof runJob> => {
    const number = jobs.indexOf(job) + 1;
    const secrets: Record<string, string> = Object.assign({}, ...valuesOf(job));
    const docker = usesDocker(job) ? machines.of(job.resourceClass) : undefined;
    const { dockerProgram, dockerConfig, allowGh } = performance;
    const own = { folder: join(folder, `job-${number}`), number, secrets, docker };
    const shared = { trigger, workflowId, repository, workspace, dockerProgram, dockerConfig, allowGh, env };
    return runJob(job, { ...own, ...shared, recorded, emit, now }, signal);
  };
  const skipped = ({ name: job }: RehearsalJob, because: string): void =>
    emit({ type: 'job-skipped', at: now(), job, because });
  const end = await runWorkflow(jobs, { limit: performance.limit, now, skipped, run }, signal);
  emit({ type: 'rehearsal-finished', at: now(), durationMs: now() - started, ...end });
  return end.outcome;
}

/** How a rehearsal differs from CircleCI, said once. */
function headNotes({ rehearsal: { jobs }, contexts, allowGh }: Performance): string[] {
  const missing = [...new Set(jobs.flatMap((job) => job.contexts))].filter((name) => !contexts.has(name));
  const lame = jobs.some(
    (job) => !job.approval && job.shell === undefined && defaultShell(job.image).join(' ') === 'sh -e',
  );
  return [
    "steps run in this machine's shell: the images of the executors are not run",
    `${installers.join(', ')} are not run: what the steps install has to be here`,
    ...(allowGh ? [] : ['gh is not run: what it is asked for is recorded (--allow-gh runs it)']),
    ...(lame
      ? ["this machine's sh knows no pipefail: in images without bash, a failure inside a pipe goes unnoticed here"]
      : []),
    ...missing.map(
      (name) => `context '${name}' is not given: its variables are not set (--contexts names a file of them)`,
    ),
  ];
}
