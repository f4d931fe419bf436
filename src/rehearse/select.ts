// Chooses the workflow that is rehearsed, and its jobs for the git ref.
import { suggest } from '../config/nearest.ts';
import { fail, ok, type Result } from '../failure.ts';
import type { ExpandedPipeline } from './expand.ts';
import { selectJobs } from './filters.ts';
import type { Rehearsal, Trigger } from './pipeline.ts';

/** Without a name: the one that a push of the ref starts, if it is one. */
export function chooseWorkflow(
  { workflows }: ExpandedPipeline,
  name: string | undefined,
  ref: Trigger['ref'],
): Result<Rehearsal> {
  const all = workflows.map((workflow) => ({ ...workflow, jobs: selectJobs(workflow.jobs, ref) }));
  const names = all.map((workflow) => workflow.name);
  if (name !== undefined) {
    const named = all.find((workflow) => workflow.name === name);
    if (!named) return fail({ kind: 'usage', message: `there is no workflow '${name}'`, help: suggest(name, names) });
    if (named.jobs.length > 0) return ok({ workflow: name, jobs: named.jobs });
    return fail({
      kind: 'usage',
      message: `no job of workflow '${name}' runs for ${ref.kind} '${ref.name}'`,
      help: `name another ref with --branch or --tag; for tags only jobs with a matching 'filters: { tags: … }' run`,
    });
  }
  const started = all.filter(({ pushed, jobs }) => pushed && jobs.length > 0);
  const [only, ...more] = started;
  if (only && more.length === 0) return ok({ workflow: only.name, jobs: only.jobs });
  if (only) {
    const which = started.map((workflow) => workflow.name).join(', ');
    return fail({
      kind: 'usage',
      message: `${ref.kind} '${ref.name}' starts ${started.length} workflows: ${which}`,
      help: `name the one to rehearse: ci rehearse FILE ${only.name}`,
    });
  }
  return fail({
    kind: 'usage',
    message: `${ref.kind} '${ref.name}' starts no workflow`,
    help: `name one of them (${names.join(', ') || 'there is none'}), or another ref with --branch or --tag`,
  });
}
