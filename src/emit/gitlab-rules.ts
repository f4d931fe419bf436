// When GitLab runs a workflow's jobs, and which workflows may meet in one pipeline: GitLab has one file for all of them.
import type { Pipeline, PipelineWorkflow } from './pipeline.ts';
import { variableName } from './steps.ts';

/** Schedules have their cron in the project's settings, where this variable says which workflow each is for. */
export const scheduleVariable = 'WORKFLOW';

/** Conditions, any of which is enough; as `rules` has them. */
export function rulesOf({ name, on }: PipelineWorkflow, pipeline: Pipeline): { if: string }[] {
  const conditions: string[] = [];
  if (on.branch !== undefined) {
    conditions.push(`$CI_COMMIT_BRANCH ${equals(on.branch)} && $CI_PIPELINE_SOURCE != "schedule"`);
  }
  if (on.tag !== undefined) conditions.push(`$CI_COMMIT_TAG ${matches(on.tag)}`);
  if (on.schedule !== undefined) {
    const isOnly = pipeline.workflows.filter((other) => other.on.schedule !== undefined).length === 1;
    const which = isOnly ? '' : ` && $${scheduleVariable} ${equals(name)}`;
    conditions.push(`$CI_PIPELINE_SOURCE == "schedule"${which}`);
  }
  if (conditions.length === 0) conditions.push('$CI_PIPELINE_SOURCE == "push" || $CI_PIPELINE_SOURCE == "web"');
  return conditions.map((condition) => ({ if: condition }));
}

function equals(text: string): string {
  return text.includes('"') ? `=~ /^${quoted(text)}$/` : `== "${text}"`;
}

/** `v6.*` is `/^v6\..*$/`; what is a `/regular expression/` already stays. */
function matches(pattern: string): string {
  if (/^\/.*\/$/.test(pattern)) return `=~ ${pattern}`;
  if (!/[*?]/.test(pattern)) return equals(pattern);
  return `=~ /^${quoted(pattern)
    .replace(/(\\\*)+/g, '.*')
    .replaceAll('\\?', '.')}$/`;
}

/** As a part of a regular expression between slashes (RE2). */
function quoted(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&');
}

/** Whether another workflow's jobs may run in the same pipeline, with the same $CI_PIPELINE_ID. */
export function sharesPipeline(workflow: PipelineWorkflow, { workflows }: Pipeline): boolean {
  const every = ({ on }: PipelineWorkflow): boolean =>
    on.branch === undefined && on.tag === undefined && on.schedule === undefined;
  return workflows.some(
    (other) =>
      other !== workflow &&
      other.jobs.length > 0 &&
      (every(workflow) ||
        every(other) ||
        (workflow.on.branch !== undefined && workflow.on.branch === other.on.branch) ||
        (workflow.on.tag !== undefined && other.on.tag !== undefined)),
  );
}

/** What has to be set in the project, for the comment on top. */
export function settingsNeeded(pipeline: Pipeline): string[] {
  const lines: string[] = [];
  const jobs = pipeline.workflows.flatMap((workflow) => workflow.jobs);
  const logins = jobs.some(({ steps }) => steps.some((step) => step.kind === 'script' && step.parts?.uses === 'login'));
  const secrets = [
    ...new Set([
      ...jobs.flatMap((job) => job.secrets).map(variableName),
      ...(logins ? ['DOCKER_USERNAME', 'DOCKER_PASSWORD'] : []),
      ...(jobs.some(({ kind }) => kind === 'deploy') ? ['GH_TOKEN'] : []),
    ]),
  ];
  if (secrets.length > 0) lines.push(`CI/CD variables to set in the project: ${secrets.join(', ')}`);
  const scheduled = pipeline.workflows.filter(({ on }) => on.schedule !== undefined);
  for (const { name, on } of scheduled) {
    const variable = scheduled.length > 1 ? `, with the variable ${scheduleVariable} = ${name}` : '';
    lines.push(`Pipeline schedule to set in the project: ${on.schedule}${variable} (workflow ${name})`);
  }
  return lines;
}
