// A pipeline as CircleCI's config 2.1: the scripts once, as commands with parameters; each job once, with the parameters that its
// workflows give it.
import type { Config } from '../config/config.ts';
import {
  defaultsOf,
  escaped,
  isShared,
  jobOf,
  known,
  parameterName,
  type Shared,
  type SharedStep,
  type Use,
} from './circleci-job.ts';
import type { Job, Pipeline, PipelineWorkflow } from './pipeline.ts';
import { Alias, Anchored, type Mapping, writeSection, type Yaml } from './write-yaml.ts';

export interface CircleciOptions {
  /** Comment lines at the head. */
  header: string[];
  settings: NonNullable<Config['ci']['circleci']>;
  /** Names of jobs in `settings.jobs` by workflow. */
  extraJobs: Record<string, string[]>;
}

export function emitCircleci(pipeline: Pipeline, options: CircleciOptions): string {
  const { settings, header } = options;
  const named = nameJobs(pipeline);
  const scripts = [...scriptsOf(pipeline).values()];
  const titles = new Map([...named.definitions].map(([name, uses]) => [name, uses[0]?.job.title ?? '']));
  const contexts =
    settings.contexts && settings.contexts.length > 0 ? repeated('contexts', settings.contexts) : undefined;
  return [
    `${header.map((line) => `# ${line}`.trimEnd()).join('\n')}\n`,
    'version: 2.1\n',
    ...(scripts.length > 0
      ? [
          writeSection(
            'commands',
            scripts.map((step): [string, Yaml] => [step.parts.uses, command(step)]),
          ),
        ]
      : []),
    writeSection('jobs', jobsOf(named.definitions, options), titles),
    writeSection(
      'workflows',
      pipeline.workflows.map((workflow): [string, Yaml] => [
        workflow.name,
        workflowOf(workflow, named.nameOf, named.definitions, options, contexts),
      ]),
    ),
  ].join('\n');
}

function* jobsOf(definitions: Map<string, Use[]>, options: CircleciOptions): Generator<[string, Yaml]> {
  const shared: Shared = { heads: new Map(), steps: new Map() };
  for (const [name, uses] of definitions) yield [name, jobOf(uses, options.settings, shared)];
  yield* extraJobs(options);
}

/** A value that is written once, and referred to from then on. */
function repeated(name: string, value: Yaml): () => Yaml {
  let written = false;
  return () => {
    if (written) return new Alias(name);
    written = true;
    return new Anchored(name, value);
  };
}

/** The first step of each body; its settings name the command's parameters. */
function scriptsOf(pipeline: Pipeline): Map<string, SharedStep> {
  const found = new Map<string, SharedStep>();
  for (const { jobs } of pipeline.workflows) {
    for (const step of jobs.flatMap(({ steps }) => steps)) {
      if (isShared(step) && !found.has(step.parts.uses)) found.set(step.parts.uses, step);
    }
  }
  return found;
}

function command({ parts: { body, settings } }: SharedStep): Yaml {
  const names = Object.keys(settings);
  const parameter = { type: 'string', default: '' };
  return {
    parameters: Object.fromEntries(['title', ...names.map(parameterName)].map((name) => [name, { ...parameter }])),
    steps: [
      {
        run: {
          name: '<< parameters.title >>',
          environment: Object.fromEntries(names.map((name) => [name, `<< parameters.${parameterName(name)} >>`])),
          command: `${escaped(body)}\n`,
        },
      },
    ],
  };
}

/** One definition a name; a job that is another in another workflow gets that workflow's name as well. */
function nameJobs(pipeline: Pipeline): {
  definitions: Map<string, Use[]>;
  nameOf: (workflow: string, job: string) => string;
} {
  const definitions = new Map<string, Use[]>();
  const renamed = new Map<string, string>();
  for (const { name: workflow, jobs } of pipeline.workflows) {
    for (const job of jobs) {
      const known = definitions.get(job.name);
      const name = known && !sameJob(known[0]?.job, job) ? `${job.name}-${workflow}` : job.name;
      definitions.set(name, [...(definitions.get(name) ?? []), { job, workflow }]);
      if (name !== job.name) renamed.set(`${workflow} ${job.name}`, name);
    }
  }
  return { definitions, nameOf: (workflow, job) => (renamed.size > 0 && renamed.get(`${workflow} ${job}`)) || job };
}

function sameJob(a: Job | undefined, b: Job): boolean {
  return a !== undefined && shape(a) === shape(b);
}

/** What a job's definition is made of. */
function shape({ steps, platform, large, params, secrets }: Job): string {
  const written = steps.map((step) => (isShared(step) ? [step.name, step.parts.uses, step.parts.settings] : step));
  return JSON.stringify([written, platform, large, Object.keys(params), secrets]);
}

function workflowOf(
  { name, on, jobs }: PipelineWorkflow,
  nameOf: (workflow: string, job: string) => string,
  definitions: Map<string, Use[]>,
  { extraJobs }: CircleciOptions,
  contexts: (() => Yaml) | undefined,
): Yaml {
  const written = on.schedule ? undefined : filtersOf(on);
  const filters = written === undefined ? undefined : repeated(anchorName(name), written);
  const common = (): Mapping => ({
    ...(filters ? { filters: filters() } : {}),
    ...(contexts ? { context: contexts() } : {}),
  });
  const entries = jobs.map((job) => {
    const defined = nameOf(name, job.name);
    const defaults = defaultsOf(definitions.get(defined) ?? []);
    const entry: Mapping = {
      ...(defined === job.name ? {} : { name: job.name }),
      ...(job.needs.length > 0 ? { requires: job.needs } : {}),
      ...common(),
    };
    for (const [parameter, value] of Object.entries(job.params)) {
      const given = known(value);
      if (defaults.get(parameter) !== given) entry[parameter] = given;
    }
    return Object.keys(entry).length > 0 ? { [defined]: entry } : defined;
  });
  const extra = (extraJobs[name] ?? []).map((job) => (filters || contexts ? { [job]: common() } : job));
  return {
    ...(on.schedule
      ? {
          triggers: [{ schedule: { cron: on.schedule, filters: { branches: { only: [on.branch ?? 'main'] } } } }],
        }
      : {}),
    jobs: [...entries, ...extra],
  };
}

function filtersOf({ branch, tag }: PipelineWorkflow['on']): Yaml | undefined {
  if (tag !== undefined) return { tags: { only: globPattern(tag) }, branches: { ignore: '/.*/' } };
  return branch === undefined ? undefined : { branches: { only: branch } };
}

/** `v6.*` as CircleCI's `/^v6\..*$/`; what is a `/regular expression/` already stays. */
export function globPattern(glob: string): string {
  if (/^\/.*\/$/.test(glob)) return glob;
  const pattern = glob
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return pattern === glob ? glob : `/^${pattern}$/`;
}

/** Of the user's own jobs those that a workflow names, as they were written. */
function extraJobs({ settings, extraJobs }: CircleciOptions): [string, Yaml][] {
  const used = new Set(Object.values(extraJobs).flat());
  return Object.entries(settings.jobs ?? {}).flatMap(([name, job]): [string, Yaml][] =>
    used.has(name) ? [[name, asYaml(job)]] : [],
  );
}

function asYaml(value: unknown): Yaml {
  if (Array.isArray(value)) return value.map(asYaml);
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, asYaml(inner)]));
  }
  return typeof value === 'number' || typeof value === 'boolean' ? value : String(value ?? '');
}

function anchorName(workflow: string): string {
  return workflow.replace(/[^A-Za-z0-9_-]/g, '-');
}
