// A job's definition in CircleCI's config: what all jobs have in common is made once.
import type { Config } from '../config/config.ts';
import { formatPlatform, type Platform } from '../image/platform.ts';
import type { Job, ScriptStep, Step } from './pipeline.ts';
import { variableName } from './steps.ts';
import { Common, type Mapping, type Yaml } from './write-yaml.ts';

type Settings = NonNullable<Config['ci']['circleci']>;

/** What jobs have in common. */
export interface Shared {
  /** By the names of parameters, where none has a default. */
  heads: Map<string, { parameters?: Yaml; environment: Yaml }>;
  steps: Map<Step, Yaml>;
}

export interface Use {
  job: Job;
  workflow: string;
}

const defaultImage = 'docker:27-git';

export function jobOf(uses: Use[], settings: Settings, shared: Shared): Yaml {
  const [first] = uses;
  if (!first) return {};
  const { job } = first;
  return {
    docker: [
      { image: job.kind === 'deploy' ? (settings.deployImage ?? 'alpine:3') : (settings.image ?? defaultImage) },
    ],
    ...resourceClass(job, settings),
    ...headOf(uses, Object.keys(job.params), shared.heads),
    steps: [
      ...(job.kind === 'deploy' ? [] : ['setup_remote_docker']),
      ...job.steps.map((step) => sharedStep(step, shared.steps)),
    ],
  };
}

function headOf(uses: Use[], parameters: string[], heads: Shared['heads']): Mapping {
  const defaults = defaultsOf(uses);
  const key = parameters.join();
  const before = defaults.size === 0 ? heads.get(key) : undefined;
  if (before) return { ...before };
  const head = {
    ...(parameters.length > 0
      ? {
          parameters: new Common(
            Object.fromEntries(
              parameters.map((name) => {
                const preset = defaults.get(name);
                return [name, preset === undefined ? { type: 'string' } : { type: 'string', default: preset }];
              }),
            ),
          ),
        }
      : {}),
    environment: new Common({
      // The others are filled in where a step names them.
      ...Object.fromEntries(parameters.filter(isTag).map((name) => [variableName(name), `<< parameters.${name} >>`])),
      RUN_ID: '<< pipeline.number >>',
    }),
  };
  if (defaults.size === 0) heads.set(key, head);
  return head;
}

/** A step that jobs share is one thing, as the login is. */
function sharedStep(step: Step, known: Shared['steps']): Yaml {
  if (!isShared(step) || step.parts.uses !== 'login') return stepOf(step);
  const found = known.get(step) ?? new Common(stepOf(step));
  known.set(step, found);
  return found;
}

function isTag(parameter: string): boolean {
  return parameter === 'build_tag' || parameter === 'final_tag';
}

/** A parameter's value in the first workflow that has the job is its default, if it is plain; those of tags are always given. */
export function defaultsOf(uses: Use[]): Map<string, string> {
  const defaults = new Map<string, string>();
  // Pipeline values are filled in where a workflow gives them, and not in a default.
  for (const [name, value] of Object.entries(uses[0]?.job.params ?? {}))
    if (!isTag(name) && known(value) === value) defaults.set(name, value);
  return defaults;
}

/** What only CircleCI knows, by its pipeline values. */
export function known(value: string): string {
  if (!value.includes('${')) return value;
  return value
    .replaceAll('${gitTag}', '<< pipeline.git.tag >>')
    .replaceAll('${branch}', '<< pipeline.git.branch >>')
    .replaceAll('${commit}', '<< pipeline.git.revision >>');
}

function resourceClass(job: Job, { resourceClass: classes = {} }: Settings): Mapping {
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

/** A script step whose body other jobs may share. */
export type SharedStep = ScriptStep & { parts: NonNullable<ScriptStep['parts']> };

export function isShared(step: Step): step is SharedStep {
  return step.kind === 'script' && step.parts !== undefined;
}

export function parameterName(variable: string): string {
  return variable.toLowerCase();
}

/** `<<` would begin a parameter. */
export function escaped(script: string): string {
  return script.replaceAll('<<', '\\<<');
}
