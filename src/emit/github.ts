// A pipeline as GitHub Actions workflows: a file for each workflow, since GitHub has triggers by file.
import { Scalar } from 'yaml';
import { fail, ok, type Result, unreachable } from '../failure.ts';
import { type ExtraJobs, extraJobsOf, extraNeeds, withNames } from './extra-jobs.ts';
import { type Group, groupJobs } from './github-matrix.ts';
import { slug, uniqueNames } from './names.ts';
import type { Job, Pipeline, PipelineWorkflow, ScriptStep, Step } from './pipeline.ts';
import { type Machines, machineOf } from './placement.ts';
import { variableName } from './steps.ts';
import { type Later, providerValue, strict } from './values.ts';
import { type Entry, mapOf, writeYaml } from './yaml.ts';

/** A label, or several that a runner must all have. */
export type Runner = string | string[];

export interface GithubOptions extends ExtraJobs {
  /** Lines of the comment on top: what made the file, and how to make it again. */
  header: string[];
  /** By `default`, `emulated` and platforms; GitHub's own for linux/amd64 and linux/arm64 where not given. */
  runners: Machines<Runner>;
}

const hosted: Machines<Runner> = { default: 'ubuntu-24.04', 'linux/arm64': 'ubuntu-24.04-arm' };

const later: Later = {
  gitTag: '${{ github.ref_name }}',
  branch: '${{ github.ref_name }}',
  commit: '${{ github.sha }}',
};

/** GitHub stops a job after 6 h in any case; one that hangs should not take that long. */
const minutes: Record<Job['kind'], number> = {
  build: 240,
  emulated: 360,
  save: 120,
  publish: 60,
  mirror: 60,
  deploy: 60,
};

/** The files by their paths in the repository: `.github/workflows/develop.yml`. A workflow without jobs has none: GitHub refuses it. */
export function emitGithub(pipeline: Pipeline, options: GithubOptions): Result<Record<string, string>> {
  const files = uniqueNames(
    pipeline.workflows.map(({ name }) => name),
    slug,
  );
  const texts: Record<string, string> = {};
  for (const workflow of pipeline.workflows) {
    const text = workflowFile(pipeline, workflow, options);
    if (!text.ok) return text;
    if (text.value !== undefined)
      texts[`.github/workflows/${files.get(workflow.name) ?? workflow.name}.yml`] = text.value;
  }
  return ok(texts);
}

function workflowFile(
  pipeline: Pipeline,
  workflow: PipelineWorkflow,
  options: GithubOptions,
): Result<string | undefined> {
  const extras = extraJobsOf(workflow, options);
  if (!extras.ok) return extras;
  if (workflow.jobs.length + extras.value.size === 0) return ok(undefined);
  const triggers = triggersOf(workflow);
  if (!triggers.ok) return triggers;
  const groups = groupJobs(workflow.jobs, [...extras.value.values()].map(extraNeeds));
  const ids = jobIds(groups, extras.value);
  const jobs: Entry[] = [];
  for (const group of groups) {
    const body = jobOf(group, workflow, ids, options);
    if (!body.ok) return body;
    const [{ title, name, platform }, ...rest] = group.jobs;
    const comment = rest.length > 0 && platform ? `${group.name}, for each platform` : title || name;
    jobs.push({ key: ids.get(name) ?? name, value: body.value, comment, apart: jobs.length > 0 });
  }
  for (const [name, job] of extras.value) jobs.push({ key: name, value: withNames(job, ids), apart: jobs.length > 0 });
  return ok(
    writeYaml(options.header, [
      { key: 'name', value: literal(workflow.name) },
      // GitHub reads YAML 1.2, where this is no boolean.
      { key: new Scalar('on'), value: triggers.value, apart: true },
      { key: 'permissions', value: { contents: 'read' }, apart: true },
      {
        key: 'concurrency',
        value: { group: '${{ github.workflow }}-${{ github.ref }}', 'cancel-in-progress': false },
        comment: 'One run a branch or tag at a time: an older one must not move tags after a newer one.',
        apart: true,
      },
      { key: 'defaults', value: { run: { shell: 'sh' } }, apart: true },
      {
        key: 'env',
        value: { RUN_ID: '${{ github.run_id }}' },
        comment: `In the names of what a run of ${pipeline.family} makes until it is published.`,
        apart: true,
      },
      { key: 'jobs', value: mapOf(jobs), apart: true },
    ]),
  );
}

function triggersOf({ name, on: { branch, tag, schedule } }: PipelineWorkflow): Result<unknown> {
  if (tag !== undefined && /^\/.*\/$/.test(tag)) {
    return fail({
      kind: 'usage',
      message: `GitHub has no regular expressions for tags, as ${tag} is one`,
      where: `workflow '${name}'`,
      help: 'write a pattern with *, as v6.*',
    });
  }
  const filters = {
    branches: branch === undefined ? undefined : [branchPattern(branch)],
    tags: tag === undefined ? undefined : [tagPattern(tag)],
  };
  const pushed = branch !== undefined || tag !== undefined ? filters : undefined;
  return ok(
    mapOf([
      { key: 'push', value: pushed ?? (schedule === undefined ? null : undefined) },
      { key: 'schedule', value: schedule === undefined ? undefined : [{ cron: schedule }] },
      { key: 'workflow_dispatch', value: null },
    ]),
  );
}

/** GitHub's patterns have meanings for more than `*`: https://docs.github.com/actions/reference/workflow-syntax-for-github-actions#filter-pattern-cheat-sheet */
function branchPattern(text: string): string {
  return text.replace(/[*?+[\]\\]|^!/g, '\\$&');
}

/** `?` is any one character to splitbuild; GitHub has lists of characters for that. */
function tagPattern(glob: string): string {
  return glob.replace(/[+[\]\\]|^!/g, '\\$&').replaceAll('?', '[0-9A-Za-z._-]');
}

/** `[A-Za-z_][A-Za-z0-9_-]*`, less than 100 long: the id of every job, by the pipeline's name. */
function jobIds(groups: Group[], extras: Map<string, unknown>): Map<string, string> {
  const unique = uniqueNames(
    groups.map(({ name }) => name),
    (name) =>
      slug(name)
        .replaceAll('.', '-')
        .replace(/^(?=\d)/, '_'),
    extras.keys(),
  );
  return new Map(
    groups.flatMap((group) =>
      group.jobs.map(({ name }): [string, string] => [name, unique.get(group.name) ?? group.name]),
    ),
  );
}

function jobOf(group: Group, workflow: PipelineWorkflow, ids: Map<string, string>, options: GithubOptions) {
  const runners: Runner[] = [];
  for (const job of group.jobs) {
    const runner = machineOf(job, options.runners, hosted, 'runners');
    if (!runner.ok) return runner;
    runners.push(runner.value ?? 'ubuntu-24.04');
  }
  const [job, ...rest] = group.jobs;
  const isMatrix = rest.length > 0;
  const id = ids.get(job.name) ?? job.name;
  const oneRunner = runners.every((runner) => String(runner) === String(runners[0])) ? runners[0] : undefined;
  const needs = [...new Set(job.needs.map((need) => ids.get(need) ?? need))];
  const body: Entry[] = [
    { key: 'name', value: isMatrix ? '${{ matrix.job }}' : id === job.name ? undefined : literal(job.name) },
    { key: 'needs', value: needs.length > 0 ? needs : undefined },
    { key: 'runs-on', value: oneRunner ?? '${{ matrix.runner }}' },
    { key: 'strategy', value: isMatrix ? strategyOf(group, oneRunner ? [] : runners) : undefined },
    { key: 'timeout-minutes', value: minutes[job.kind] },
    { key: 'permissions', value: job.kind === 'deploy' ? { contents: 'write' } : undefined },
    { key: 'env', value: environmentOf(group.params) },
    { key: 'steps', value: group.steps.flatMap((step, index) => stepsOf(step, index, job, workflow, ids)) },
  ];
  return ok(mapOf(body));
}

function strategyOf({ jobs, columns }: Group, runners: Runner[]): unknown {
  const include = jobs.map((_job, index) =>
    mapOf([
      ...[...columns].map(([key, values]) => ({ key, value: written(values[index] ?? '') })),
      { key: 'runner', value: runners[index] },
    ]),
  );
  return { 'fail-fast': false, matrix: { include } };
}

function environmentOf(params: Record<string, string>): unknown {
  const entries = Object.entries(params).map(([name, value]) => ({ key: variableName(name), value: written(value) }));
  return entries.length > 0 ? mapOf(entries) : undefined;
}

function stepsOf(step: Step, index: number, job: Job, workflow: PipelineWorkflow, ids: Map<string, string>): unknown[] {
  switch (step.kind) {
    case 'checkout':
      return [{ uses: 'actions/checkout@v4' }];
    case 'script':
      return [{ name: literal(step.name), env: secretsOf(step, job), run: `${literal(strict(step))}\n` }];
    case 'persist': {
      const hidden = step.folder.split('/').some((part) => /^\.[^./]/.test(part));
      return [
        {
          uses: 'actions/upload-artifact@v4',
          with: {
            name: artifactName(job, index, ids),
            path: literal(step.folder),
            'if-no-files-found': 'error',
            'include-hidden-files': hidden || undefined,
            'retention-days': 7,
          },
        },
      ];
    }
    case 'attach':
      return job.needs
        .flatMap((need) => workflow.jobs.filter(({ name }) => name === need))
        .flatMap((needed) =>
          needed.steps.flatMap((one, at) =>
            one.kind === 'persist' && one.folder === step.folder ? [artifactName(needed, at, ids)] : [],
          ),
        )
        .map((name) => ({ uses: 'actions/download-artifact@v4', with: { name, path: literal(step.folder) } }));
    default:
      return unreachable(step);
  }
}

/** Unique in the run, also where a job keeps two folders. */
function artifactName(job: Job, index: number, ids: Map<string, string>): string {
  const first = job.steps.findIndex(({ kind }) => kind === 'persist');
  const id = ids.get(job.name) ?? job.name;
  return index === first ? id : `${id}.${index}`;
}

/** GitHub gives a step only the secrets that it names; one that isn't set is empty. */
function secretsOf({ parts }: ScriptStep, job: Job): Record<string, string> | undefined {
  const names = new Set(job.secrets.map(variableName));
  if (parts?.uses === 'login') {
    return { DOCKER_USERNAME: '${{ secrets.DOCKER_USERNAME }}', DOCKER_PASSWORD: '${{ secrets.DOCKER_PASSWORD }}' };
  }
  const secrets = Object.fromEntries([...names].map((name) => [name, `\${{ secrets.${name} }}`]));
  // The run's own token reaches releases of this repository; a release elsewhere needs one of the user's.
  if (job.kind === 'deploy') secrets.GH_TOKEN = '${{ secrets.GH_TOKEN || secrets.GIT_OAUTH_TOKEN || github.token }}';
  return Object.keys(secrets).length > 0 ? secrets : undefined;
}

/** Text that GitHub finds no expression in, but for what a matrix varies. */
function literal(text: string): string {
  const escaped = text.replaceAll('${{', () => "$${{ '{{' }}");
  return escaped.replace(/\0([a-z0-9_]+)\0/g, '$${{ matrix.$1 }}');
}

function written(value: string): string {
  return providerValue(value, later, literal);
}
