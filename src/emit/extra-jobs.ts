// Jobs that the user wrote in the provider's own syntax, to stand among those of the pipeline.
import { fail, ok, type Result } from '../failure.ts';
import type { PipelineWorkflow } from './pipeline.ts';

export interface ExtraJobs {
  /** As in the provider's file, by name. */
  jobs: Readonly<Record<string, unknown>>;
  /** Which of them a workflow has. */
  extraJobs: Readonly<Record<string, readonly string[]>>;
}

/** Those of a workflow. A name that is no job, or one of the pipeline's, is refused. */
export function extraJobsOf(workflow: PipelineWorkflow, { jobs, extraJobs }: ExtraJobs): Result<Map<string, unknown>> {
  const result = new Map<string, unknown>();
  for (const name of Object.hasOwn(extraJobs, workflow.name) ? (extraJobs[workflow.name] ?? []) : []) {
    const where = `workflow '${workflow.name}'`;
    if (!Object.hasOwn(jobs, name)) {
      return fail({ kind: 'usage', message: `there is no extra job '${name}'`, where, help: 'write it under jobs' });
    }
    if (workflow.jobs.some((job) => job.name === name)) {
      return fail({ kind: 'usage', message: `'${name}' is a job of the pipeline`, where, help: 'name it otherwise' });
    }
    result.set(name, jobs[name]);
  }
  return ok(result);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What it needs, by name; `{ job }` is GitLab's long form. */
export function extraNeeds(job: unknown): string[] {
  const needs = isRecord(job) ? job.needs : undefined;
  return (Array.isArray(needs) ? needs : [needs])
    .map((need) => (isRecord(need) ? need.job : need))
    .filter((need) => typeof need === 'string');
}

/** The job as it was written, but for the names that it needs jobs by. */
export function withNames(job: unknown, names: ReadonlyMap<string, string>): unknown {
  if (!isRecord(job) || job.needs === undefined) return job;
  const rename = (need: unknown): unknown => {
    if (typeof need === 'string') return names.get(need) ?? need;
    return isRecord(need) ? { ...need, job: rename(need.job) } : need;
  };
  const { needs } = job;
  return { ...job, needs: Array.isArray(needs) ? [...new Set(needs.map(rename))] : rename(needs) };
}
