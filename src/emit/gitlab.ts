// A pipeline as one .gitlab-ci.yml: shared scripts and settings first, then the jobs of each workflow, which run by that workflow's rules.
import { ok, type Result } from '../failure.ts';
import { type ExtraJobs, extraJobsOf, withNames } from './extra-jobs.ts';
import { type GitlabNames, gitlabNames, sameJob } from './gitlab-names.ts';
import { rulesOf, settingsNeeded, sharesPipeline } from './gitlab-rules.ts';
import { scriptOf, sharedBodies } from './gitlab-script.ts';
import { slug } from './names.ts';
import type { Job, Pipeline, PipelineWorkflow } from './pipeline.ts';
import { type Machines, machineOf } from './placement.ts';
import { variableName } from './steps.ts';
import { type Later, providerValue } from './values.ts';
import { type Entry, mapOf, writeYaml } from './yaml.ts';

export interface GitlabOptions extends ExtraJobs {
  /** Lines of the comment on top: what made the file, and how to make it again. */
  header: string[];
  /** That the jobs run in, with docker and git: `docker:27-git`. */
  image: string;
  /** Tags of runners by `default`, `emulated` and platforms; those of gitlab.com for linux/arm64 where not given. */
  tags: Machines<string[]>;
}

const hosted: Machines<string[]> = { 'linux/arm64': ['saas-linux-small-arm64'] };

const later: Later = { gitTag: '${CI_COMMIT_TAG}', branch: '${CI_COMMIT_BRANCH}', commit: '${CI_COMMIT_SHA}' };

/** The project's own limit is an hour, which a large image takes. */
const hours: Record<Job['kind'], string> = {
  build: '4 hours',
  emulated: '6 hours',
  save: '2 hours',
  publish: '1 hour',
  mirror: '1 hour',
  deploy: '1 hour',
};

/** What writing a job takes besides itself. */
interface Scene {
  pipeline: Pipeline;
  options: GitlabOptions;
  names: GitlabNames;
  /** Bodies that more than one step uses. */
  shared: Map<string, string>;
  /** Whether deploying is a stage of its own: not where something else waits for it. */
  deployStage: boolean;
}

/** The text of `.gitlab-ci.yml`. */
export function emitGitlab(pipeline: Pipeline, options: GitlabOptions): Result<string> {
  const extras = new Map<string, Map<string, unknown>>();
  for (const workflow of pipeline.workflows) {
    const found = extraJobsOf(workflow, options);
    if (!found.ok) return found;
    extras.set(workflow.name, found.value);
  }
  const shared = sharedBodies(pipeline);
  const repeated = repeatedJobs(pipeline);
  // Hidden jobs among the extra ones are for those to extend.
  const hidden = Object.keys(options.jobs).filter((name) => name.startsWith('.'));
  const names = gitlabNames(
    pipeline,
    extras,
    hidden,
    new Map([
      ['docker', '.docker'],
      ...pipeline.workflows.map(({ name }): [string, string] => [ruleKey(name), `.on-${name}`]),
      ...[...shared.keys()].map((uses): [string, string] => [bodyKey(uses), `.script-${uses}`]),
      ...[...repeated.keys()].map((job): [string, string] => [templateKey(job), `.${job}`]),
    ]),
  );
  const scene: Scene = { pipeline, options, names, shared, deployStage: !waitsForDeploy(pipeline) };
  const entries = [...settings(scene), ...rules(scene), ...bodies(scene)];
  for (const [name, uses] of repeated) {
    const [first] = uses;
    if (!first) continue;
    const body = definition(first, commonParams(uses), scene);
    if (!body.ok) return body;
    entries.push({
      key: names.template(templateKey(name)),
      value: mapOf(body.value),
      comment: first.title,
      apart: true,
    });
  }
  for (const workflow of pipeline.workflows) {
    const keeping = jobsThatKeep(workflow);
    for (const job of workflow.jobs) {
      const needs = { key: 'needs', value: needsOf(job, workflow, keeping, names) };
      const body = jobOf(job, needs, workflow, repeated.get(job.name), scene);
      if (!body.ok) return body;
      entries.push({ key: names.of(workflow.name, job.name), value: body.value, comment: job.title, apart: true });
    }
    for (const [name, job] of extras.get(workflow.name) ?? []) {
      entries.push({ key: names.of(workflow.name, name), value: extraJob(job, workflow, scene), apart: true });
    }
  }
  for (const name of hidden) entries.push({ key: name, value: options.jobs[name], apart: true });
  return ok(writeYaml([...options.header, ...settingsNeeded(pipeline)], entries));
}

const ruleKey = (workflow: string): string => `rules of ${workflow}`;
const bodyKey = (uses: string): string => `body ${uses}`;
const templateKey = (job: string): string => `job ${job}`;

function settings({ options, names, pipeline }: Scene): Entry[] {
  const tags = options.tags.default;
  return [
    {
      key: 'variables',
      value: { RUN_ID: '$CI_PIPELINE_ID' },
      comment: `In the names of what a run of ${pipeline.family} makes until it is published.`,
    },
    { key: 'stages', value: extraStages(options), apart: true },
    {
      key: names.template('docker'),
      value: mapOf([
        { key: 'image', value: options.image },
        {
          key: 'services',
          value: [
            mapOf(
              Object.entries({ name: daemonImage(options.image), alias: 'docker' }).map(([key, value]) => ({
                key,
                value,
              })),
            ),
          ],
        },
        { key: 'tags', value: tags },
        {
          key: 'variables',
          value: {
            DOCKER_HOST: 'tcp://docker:2376',
            DOCKER_TLS_CERTDIR: '/certs',
            DOCKER_TLS_VERIFY: '1',
            DOCKER_CERT_PATH: '/certs/client',
          },
        },
      ]),
      comment: 'A Docker Engine beside the job, reached over TLS.',
      apart: true,
    },
  ];
}

/** `docker:27-dind` for `docker:27-git`, from the same registry. */
function daemonImage(image: string): string {
  const [, repository, version] = /^((?:.*\/)?docker):(\d[\d.]*)/.exec(image) ?? [];
  return repository === undefined ? 'docker:dind' : `${repository}:${version}-dind`;
}

function rules({ pipeline, names }: Scene): Entry[] {
  return pipeline.workflows
    .filter(({ jobs }) => jobs.length > 0)
    .map((workflow) => {
      const variables = sharesPipeline(workflow, pipeline)
        ? { RUN_ID: `$CI_PIPELINE_ID-${slug(workflow.name)}` }
        : undefined;
      return {
        key: names.template(ruleKey(workflow.name)),
        value: { rules: rulesOf(workflow, pipeline), variables },
        comment: variables ? 'Other workflows may run in the same pipeline.' : undefined,
        apart: true,
      };
    });
}

function waitsForDeploy({ workflows }: Pipeline): boolean {
  return workflows.some(({ jobs }) => {
    const deploying = new Set(jobs.flatMap(({ kind, name }) => (kind === 'deploy' ? [name] : [])));
    return jobs.some(({ kind, needs }) => kind !== 'deploy' && needs.some((need) => deploying.has(need)));
  });
}

/** Stages of extra jobs that GitLab doesn't have by itself, before those that it has. */
function extraStages({ jobs }: GitlabOptions): string[] | undefined {
  const usual = ['build', 'test', 'deploy'];
  const wanted = Object.values(jobs).flatMap((job) =>
    typeof job === 'object' && job !== null && 'stage' in job && typeof job.stage === 'string' ? [job.stage] : [],
  );
  const others = [...new Set(wanted)].filter((stage) => ![...usual, '.pre', '.post'].includes(stage));
  return others.length > 0 ? [...others, ...usual] : undefined;
}

function bodies({ shared, names }: Scene): Entry[] {
  return [...shared].map(([uses, body]) => ({
    key: names.template(bodyKey(uses)),
    value: { script: [`${body}\n`] },
    apart: true,
  }));
}

/** Jobs that more than one workflow has, the same but for parameters and needs. */
function repeatedJobs({ workflows }: Pipeline): Map<string, Job[]> {
  const byName = new Map<string, Job[]>();
  for (const job of workflows.flatMap(({ jobs }) => jobs)) byName.set(job.name, [...(byName.get(job.name) ?? []), job]);
  return new Map(
    [...byName].filter(([, [first, ...rest]]) => first && rest.length > 0 && rest.every((job) => sameJob(first, job))),
  );
}

function commonParams([first, ...rest]: Job[]): Record<string, string> {
  const params = Object.entries(first?.params ?? {});
  return Object.fromEntries(params.filter(([name, value]) => rest.every((job) => job.params[name] === value)));
}

/** What a job is in every workflow that has it. */
function definition(job: Job, params: Record<string, string>, scene: Scene): Result<Entry[]> {
  const { options, names } = scene;
  const tags = machineOf(job, options.tags, hosted, 'tags');
  if (!tags.ok) return tags;
  const needsDocker = job.kind !== 'deploy';
  const isUsual = needsDocker && String(tags.value) === String(options.tags.default);
  const checkout = job.steps.some(({ kind }) => kind === 'checkout');
  const kept = job.steps.flatMap((step) => (step.kind === 'persist' ? [`${step.folder}/`] : []));
  const environment = { ...(checkout ? {} : { GIT_STRATEGY: 'none' }), ...variables(params) };
  return ok([
    { key: 'extends', value: needsDocker ? names.template('docker') : undefined },
    { key: 'image', value: needsDocker ? undefined : options.image },
    { key: 'stage', value: job.kind === 'deploy' && scene.deployStage ? 'deploy' : 'build' },
    { key: 'tags', value: isUsual ? undefined : tags.value },
    { key: 'timeout', value: hours[job.kind] },
    { key: 'variables', value: Object.keys(environment).length > 0 ? environment : undefined },
    { key: 'script', value: scriptOf(job, scene.shared, (uses) => names.template(bodyKey(uses))) },
    { key: 'artifacts', value: kept.length > 0 ? { paths: kept, expire_in: '1 week' } : undefined },
  ]);
}

function jobOf(
  job: Job,
  needs: Entry,
  workflow: PipelineWorkflow,
  uses: Job[] | undefined,
  scene: Scene,
): Result<unknown> {
  const { names } = scene;
  const rule = names.template(ruleKey(workflow.name));
  if (uses) {
    const common = commonParams(uses);
    const own = Object.entries(job.params).filter(([name]) => !Object.hasOwn(common, name));
    return ok(
      mapOf([
        { key: 'extends', value: [names.template(templateKey(job.name)), rule] },
        needs,
        { key: 'variables', value: own.length > 0 ? variables(Object.fromEntries(own)) : undefined },
      ]),
    );
  }
  const body = definition(job, job.params, scene);
  if (!body.ok) return body;
  const [base, ...rest] = body.value;
  return ok(mapOf([{ key: 'extends', value: base?.value === undefined ? rule : [base.value, rule] }, needs, ...rest]));
}

function jobsThatKeep({ jobs }: PipelineWorkflow): ReadonlySet<string> {
  return new Set(jobs.flatMap(({ name, steps }) => (steps.some(({ kind }) => kind === 'persist') ? [name] : [])));
}

/** GitLab gives a job the kept files of what it needs; one that doesn't ask for them goes without. `keeping`: jobs that keep files. */
function needsOf(
  job: Job,
  { name: workflow }: PipelineWorkflow,
  keeping: ReadonlySet<string>,
  names: GitlabNames,
): unknown[] {
  const attaches = job.steps.some(({ kind }) => kind === 'attach');
  return job.needs.map((need) => {
    const name = names.of(workflow, need);
    return keeping.has(need) && !attaches ? { job: name, artifacts: false } : name;
  });
}

/** `$$` is GitLab's way to write a dollar that begins no variable; for `%NAME%`, also a variable to it, there is none but to expand nothing. */
function variables(params: Record<string, string>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(params).map(([name, value]) => {
      const written = providerValue(value, later, (literal) => literal.replaceAll('$', '$$$$'));
      const asItIs = /%[A-Za-z_]\w*%/.test(value) && providerValue(value, later, () => '') === '';
      return [variableName(name), asItIs ? { value, expand: false } : written.replace(/^\$\{(\w+)\}$/, '$$$1')];
    }),
  );
}

/** As it was written; its workflow's rules are added where it has none of its own. */
function extraJob(job: unknown, workflow: PipelineWorkflow, { names, pipeline }: Scene): unknown {
  const named = withNames(job, names.all(workflow.name));
  if (typeof named !== 'object' || named === null || ['rules', 'only', 'except'].some((key) => key in named))
    return named;
  return { ...named, rules: rulesOf(workflow, pipeline) };
}
