// A pipeline as CircleCI's config 2.1: the scripts once, as commands with parameters; each job once, with the parameters that its
// workflows give it.
import { Document, isMap, isNode, isScalar, isSeq } from 'yaml';
import type { Config } from '../config/config.ts';
import { formatPlatform, type Platform } from '../image/platform.ts';
import type { Job, Pipeline, PipelineWorkflow, ScriptStep, Step } from './pipeline.ts';
import { variableName } from './steps.ts';

export interface CircleciOptions {
  /** Comment lines at the head. */
  header: string[];
  settings: NonNullable<Config['ci']['circleci']>;
  /** Names of jobs in `settings.jobs` by workflow. */
  extraJobs: Record<string, string[]>;
}

const defaultImage = 'docker:27-git';

export function emitCircleci(pipeline: Pipeline, options: CircleciOptions): string {
  const { settings } = options;
  const named = nameJobs(pipeline);
  const scripts = scriptsOf(pipeline);
  const document = new Document({
    version: 2.1,
    ...(scripts.size > 0
      ? { commands: Object.fromEntries([...scripts.values()].map((step) => [step.parts.uses, command(step)])) }
      : {}),
    jobs: {
      ...Object.fromEntries([...named.definitions].map(([name, uses]) => [name, jobOf(uses, settings)])),
      ...extraJobs(options),
    },
    workflows: Object.fromEntries(
      pipeline.workflows.map((workflow) => [
        workflow.name,
        workflowOf(workflow, named.nameOf, named.definitions, options),
      ]),
    ),
  });
  document.commentBefore = options.header.map((line) => ` ${line}`.trimEnd()).join('\n');
  for (const key of ['commands', 'jobs', 'workflows']) {
    const pair = isMap(document.contents)
      ? document.contents.items.find((one) => isScalar(one.key) && one.key.value === key)
      : undefined;
    if (pair && isNode(pair.key)) pair.key.spaceBefore = true;
  }
  for (const [name, uses] of named.definitions) comment(document, ['jobs', name], uses[0]?.job.title ?? '');
  if (isMap(document.contents)) for (const { value } of document.contents.items) flowEntries(value);
  return document.toString({ lineWidth: 0, flowCollectionPadding: true });
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

function command({ parts: { body, settings } }: SharedStep): object {
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
  const shape = (job: Job | undefined): string =>
    JSON.stringify([job?.steps, job?.platform, job?.large, Object.keys(job?.params ?? {}), job?.secrets]);
  return shape(a) === shape(b);
}

function jobOf(uses: Use[], settings: CircleciOptions['settings']): object {
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
  return value
    .replaceAll('${gitTag}', '<< pipeline.git.tag >>')
    .replaceAll('${branch}', '<< pipeline.git.branch >>')
    .replaceAll('${commit}', '<< pipeline.git.revision >>');
}

function resourceClass(job: Job, { resourceClass: classes = {} }: CircleciOptions['settings']): object {
  const platform: Platform = job.platform ?? { os: 'linux', architecture: 'amd64' };
  const preset = platform.architecture === 'arm64' ? 'arm.medium' : undefined;
  const own = job.large
    ? (classes.emulated ?? 'large')
    : (classes[formatPlatform(platform)] ?? preset ?? classes.default);
  return own === undefined ? {} : { resource_class: own };
}

function stepOf(step: Step): unknown {
  switch (step.kind) {
    case 'checkout':
      return 'checkout';
    case 'persist':
      return { persist_to_workspace: { root: '.', paths: [step.folder] } };
    case 'attach':
      return { attach_workspace: { at: '.' } };
    case 'script': {
      if (!isShared(step)) return { run: { name: step.name, command: `${escaped(step.script)}\n` } };
      const settings = Object.entries(step.parts.settings)
        .filter(([, value]) => value !== '')
        .map(([name, value]): [string, string] => [parameterName(name), parametersIn(value)]);
      return { [step.parts.uses]: { title: step.name, ...Object.fromEntries(settings) } };
    }
  }
}

/** A setting's `${org}` as `<< parameters.org >>`. */
function parametersIn(template: string): string {
  return template.replace(/\$\$|\$\{([^{}]*)\}/g, (whole, name: string | undefined) =>
    name === undefined ? (whole === '$$' ? '$' : whole) : `<< parameters.${name} >>`,
  );
}

function workflowOf(
  { name, on, jobs }: PipelineWorkflow,
  nameOf: (workflow: string, job: string) => string,
  definitions: Map<string, Use[]>,
  { settings, extraJobs }: CircleciOptions,
): object {
  const filters = filtersOf(on);
  const common = {
    ...(filters && !on.schedule ? { filters } : {}),
    ...(settings.contexts && settings.contexts.length > 0 ? { context: settings.contexts } : {}),
  };
  const entries = jobs.map((job) => {
    const defined = nameOf(name, job.name);
    const defaults = defaultsOf(definitions.get(defined) ?? []);
    const params = Object.entries(job.params).filter(([parameter, value]) => defaults.get(parameter) !== known(value));
    const entry = {
      ...(defined === job.name ? {} : { name: job.name }),
      ...(job.needs.length > 0 ? { requires: job.needs } : {}),
      ...common,
      ...Object.fromEntries(params.map(([parameter, value]) => [parameter, known(value)])),
    };
    return Object.keys(entry).length > 0 ? { [defined]: entry } : defined;
  });
  const extra = (extraJobs[name] ?? []).map((job) => (Object.keys(common).length > 0 ? { [job]: { ...common } } : job));
  return {
    ...(on.schedule
      ? {
          triggers: [{ schedule: { cron: on.schedule, filters: { branches: { only: [on.branch ?? 'main'] } } } }],
        }
      : {}),
    jobs: [...entries, ...extra],
  };
}

function filtersOf({ branch, tag }: PipelineWorkflow['on']): object | undefined {
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

function extraJobs({ settings, extraJobs }: CircleciOptions): Record<string, unknown> {
  const used = new Set(Object.values(extraJobs).flat());
  return Object.fromEntries(Object.entries(settings.jobs ?? {}).filter(([name]) => used.has(name)));
}

function comment(document: Document, path: string[], text: string): void {
  const parent = document.getIn(path.slice(0, -1), true);
  if (!isMap(parent)) return;
  const pair = parent.items.find(({ key }) => String(key) === path.at(-1));
  if (pair && isNode(pair.key)) pair.key.commentBefore = ` ${text}`;
}

/** Of a section's entries, each in its own lines, what they hold. */
function flowEntries(section: unknown): void {
  if (!isMap(section)) return;
  for (const { value } of section.items) {
    if (isMap(value)) for (const inner of value.items) flowShort(inner.value);
  }
}

/** Short mappings and lists stand in one line; gives how many characters a node takes so. */
function flowShort(node: unknown): number {
  if (isScalar(node)) {
    const text = String(node.value ?? '');
    return text.includes('\n') ? Number.POSITIVE_INFINITY : text.length + 2;
  }
  if (!isMap(node) && !isSeq(node)) return 0;
  const sizes = isMap(node)
    ? node.items.map(({ key, value }) => flowShort(key) + flowShort(value) + 2)
    : node.items.map((item) => flowShort(item) + 2);
  const size = sizes.reduce((sum, one) => sum + one, 2);
  if (size > 110) return Number.POSITIVE_INFINITY;
  node.flow = true;
  return size;
}
