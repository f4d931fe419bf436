// A pipeline as CircleCI's config 2.1: the scripts once, as commands with parameters; each job once, with the parameters that its
// workflows give it.
import type { Config } from '../config/config.ts';
import { formatPlatform, type Platform } from '../image/platform.ts';
import type { Job, Pipeline, PipelineWorkflow, ScriptStep, Step } from './pipeline.ts';
import { variableName } from './steps.ts';
import { Alias, Anchored, type Mapping, writeSection, type Yaml } from './write-yaml.ts';

export interface CircleciOptions {
  /** Comment lines at the head. */
  header: string[];
  settings: NonNullable<Config['ci']['circleci']>;
  /** Names of jobs in `settings.jobs` by workflow. */
  extraJobs: Record<string, string[]>;
}

const defaultImage = 'docker:27-git';

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
  for (const [name, uses] of definitions) yield [name, jobOf(uses, options.settings)];
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

/** A script step whose body other jobs may share. */
type SharedStep = ScriptStep & { parts: NonNullable<ScriptStep['parts']> };

function isShared(step: Step): step is SharedStep {
  return step.kind === 'script' && step.parts !== undefined;
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

function parameterName(variable: string): string {
  return variable.toLowerCase();
}

/** `<<` would begin a parameter. */
function escaped(script: string): string {
  return script.replaceAll('<<', '\\<<');
}

interface Use {
  job: Job;
  workflow: string;
}

/** One definition a name; a job that is another in another workflow gets that workflow's name as well. */
function nameJobs(pipeline: Pipeline): {
  definitions: Map<string, Use[]>;
  nameOf: (workflow: string, job: string) => string;
} {
  const definitions = new Map<string, Use[]>();
  const names = new Map<string, string>();
  for (const { name: workflow, jobs } of pipeline.workflows) {
    for (const job of jobs) {
      const known = definitions.get(job.name);
      const name = known && !sameJob(known[0]?.job, job) ? `${job.name}-${workflow}` : job.name;
      definitions.set(name, [...(definitions.get(name) ?? []), { job, workflow }]);
      names.set(`${workflow} ${job.name}`, name);
    }
  }
  return { definitions, nameOf: (workflow, job) => names.get(`${workflow} ${job}`) ?? job };
}

function sameJob(a: Job | undefined, b: Job): boolean {
  return a !== undefined && shape(a) === shape(b);
}

/** What a job's definition is made of. */
function shape({ steps, platform, large, params, secrets }: Job): string {
  const written = steps.map((step) => (isShared(step) ? [step.name, step.parts.uses, step.parts.settings] : step));
  return JSON.stringify([written, platform, large, Object.keys(params), secrets]);
}

function jobOf(uses: Use[], settings: CircleciOptions['settings']): Yaml {
  const [first] = uses;
  if (!first) return {};
  const { job } = first;
  const parameters = Object.keys(job.params);
  const defaults = defaultsOf(uses);
  return {
    docker: [
      { image: job.kind === 'deploy' ? (settings.deployImage ?? 'alpine:3') : (settings.image ?? defaultImage) },
    ],
    ...resourceClass(job, settings),
    ...(parameters.length > 0
      ? {
          parameters: Object.fromEntries(
            parameters.map((name) => {
              const preset = defaults.get(name);
              return [name, preset === undefined ? { type: 'string' } : { type: 'string', default: preset }];
            }),
          ),
        }
      : {}),
    environment: {
      // The others are filled in where a step names them.
      ...Object.fromEntries(parameters.filter(isTag).map((name) => [variableName(name), `<< parameters.${name} >>`])),
      RUN_ID: '<< pipeline.number >>',
    },
    steps: [...(job.kind === 'deploy' ? [] : ['setup_remote_docker']), ...job.steps.map((step) => stepOf(step))],
  };
}

function isTag(parameter: string): boolean {
  return parameter === 'build_tag' || parameter === 'final_tag';
}

/** A parameter's value in the first workflow that has the job is its default, if it is plain; those of tags are always given. */
function defaultsOf(uses: Use[]): Map<string, string> {
  const params = Object.entries(uses[0]?.job.params ?? {}).filter(([name]) => !isTag(name));
  // Pipeline values are filled in where a workflow gives them, and not in a default.
  return new Map(params.filter(([, value]) => known(value) === value));
}

/** What only CircleCI knows, by its pipeline values. */
function known(value: string): string {
  if (!value.includes('${')) return value;
  return value
    .replaceAll('${gitTag}', '<< pipeline.git.tag >>')
    .replaceAll('${branch}', '<< pipeline.git.branch >>')
    .replaceAll('${commit}', '<< pipeline.git.revision >>');
}

function resourceClass(job: Job, { resourceClass: classes = {} }: CircleciOptions['settings']): Mapping {
  const platform: Platform = job.platform ?? { os: 'linux', architecture: 'amd64' };
  const preset = platform.architecture === 'arm64' ? 'arm.medium' : undefined;
  const own = job.large
    ? (classes.emulated ?? 'large')
    : (classes[formatPlatform(platform)] ?? preset ?? classes.default);
  return own === undefined ? {} : { resource_class: own };
}

function stepOf(step: Step): Yaml {
  switch (step.kind) {
    case 'checkout':
      return 'checkout';
    case 'persist':
      return { persist_to_workspace: { root: '.', paths: [step.folder] } };
    case 'attach':
      return { attach_workspace: { at: '.' } };
    case 'script': {
      if (!isShared(step)) return { run: { name: step.name, command: `${escaped(step.script)}\n` } };
      const settings: Mapping = { title: step.name };
      for (const [name, value] of Object.entries(step.parts.settings))
        if (value !== '') settings[parameterName(name)] = parametersIn(value);
      return { [step.parts.uses]: settings };
    }
  }
}

/** A setting's `${org}` as `<< parameters.org >>`. */
function parametersIn(template: string): string {
  if (!template.includes('$')) return template;
  return template.replace(/\$\$|\$\{([^{}]*)\}/g, (whole, name: string | undefined) =>
    name === undefined ? (whole === '$$' ? '$' : whole) : `<< parameters.${name} >>`,
  );
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
    const params = Object.entries(job.params).filter(([parameter, value]) => defaults.get(parameter) !== known(value));
    const entry = {
      ...(defined === job.name ? {} : { name: job.name }),
      ...(job.needs.length > 0 ? { requires: job.needs } : {}),
      ...common(),
      ...Object.fromEntries(params.map(([parameter, value]) => [parameter, known(value)])),
    };
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
