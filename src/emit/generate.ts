// A provider's files from a config: every workflow read, planned and turned into jobs, and then written in the provider's syntax.
import { relative, resolve } from 'node:path';
import type { ByMachine, Config } from '../config/config.ts';
import { type ParsedFile, parseConfig } from '../config/parse.ts';
import { readConfig } from '../config/read.ts';
import { secretNames } from '../config/secret-names.ts';
import { asMap } from '../config/tree.ts';
import { type Diagnostic, fail, ok, type Result, unreachable } from '../failure.ts';
import { readFamily } from '../family/family.ts';
import { archSuffix } from '../image/platform.ts';
import { buildWorkflow } from './build-pipeline.ts';
import { emitCircleci } from './circleci.ts';
import { emitGithub } from './github.ts';
import { emitGitlab } from './gitlab.ts';
import type { Pipeline, PipelineWorkflow } from './pipeline.ts';
import { withoutSecrets } from './secrets.ts';

export const providers = ['circleci', 'github', 'gitlab'] as const;
export type Provider = (typeof providers)[number];

export interface GenerateOptions {
  provider: Provider;
  /** As named on the command line. */
  file: string;
  /** Of the file, or what parseConfig made of it. */
  text: string | ParsedFile;
  env: Record<string, string | undefined>;
  set: Record<string, string>;
  /** Absolute path of the repository that the pipeline lies in. */
  root: string;
  /** Instead of what the config says. */
  chain?: Config['chain'];
  mode?: 'native' | 'emulated';
  steps: 'docker' | 'splitbuild';
  header: string[];
  now: Date;
  signal: AbortSignal;
}

export interface Generated {
  /** By path from the repository's top. */
  files: Record<string, string>;
  pipeline: Pipeline;
  /** Of the workflow with the most images. */
  config: Config;
  warnings: Diagnostic[];
}

/** Reads a config for each of its workflows; a config without any is one workflow, `build`, on every push. */
export async function readPipeline(
  options: GenerateOptions,
): Promise<Result<{ pipeline: Pipeline; config: Config; secrets: string[] }>> {
  const parsed = typeof options.text === 'string' ? parseConfig(options.text, options.file) : ok(options.text);
  if (!parsed.ok) return parsed;
  const read = (workflow?: string): Result<Config> => {
    const { file, env, set, now } = options;
    const config = readConfig(parsed.value, {
      file,
      env,
      set,
      now,
      git: 'later',
      ...(workflow === undefined ? {} : { workflow }),
    });
    return config.ok ? ok(withOptions(config.value, options)) : config;
  };
  const names = Object.keys(asMap(asMap(parsed.value.value)?.workflows) ?? {});
  const pipeline: Pipeline = { family: '', workflows: [] };
  let whole: Config | undefined;
  for (const name of names.length > 0 ? names : [undefined]) {
    const config = read(name);
    if (!config.ok) return config;
    pipeline.family = config.value.family;
    if (!whole || config.value.images.length > whole.images.length) whole = config.value;
    const written = name === undefined ? undefined : config.value.workflows[name];
    if (written && !written.builds) {
      pipeline.workflows.push({ name: name ?? 'build', on: written.on ?? {}, jobs: [] });
      continue;
    }
    const family = await readFamily(config.value, '', options.signal, { fetch: false });
    if (!family.ok) return family;
    const workflow = buildWorkflow({
      workflow: name ?? 'build',
      named: name !== undefined,
      file: relative(options.root, resolve(options.file)),
      set: options.set,
      on: written?.on ?? {},
      config: config.value,
      family: family.value,
      root: options.root,
      steps: options.steps,
    });
    if (!workflow.ok) return workflow;
    pipeline.workflows.push(workflow.value);
  }
  return whole
    ? ok({ pipeline, config: whole, secrets: secretNames(parsed.value) })
    : fail({ kind: 'usage', message: 'the config has no workflow' });
}

function withOptions(config: Config, { chain, mode }: GenerateOptions): Config {
  return {
    ...config,
    ...(chain ? { chain } : {}),
    ...(mode ? { images: config.images.map((image) => ({ ...image, mode })) } : {}),
  };
}

export async function generate(options: GenerateOptions): Promise<Result<Generated>> {
  const read = await readPipeline(options);
  if (!read.ok) return read;
  const { pipeline, config, secrets } = read.value;
  const own = config.ci[options.provider]?.jobs ?? {};
  const extraJobs: Record<string, string[]> = {};
  const warnings = [...config.warnings];
  for (const [name, { jobs }] of Object.entries(config.workflows)) {
    extraJobs[name] = jobs.filter((job) => Object.hasOwn(own, job));
    const others = jobs.filter((job) => !Object.hasOwn(own, job));
    if (others.length > 0) warnings.push(notForProvider(name, others, options.provider));
  }
  if (options.steps === 'docker') warnings.push(...notInDocker(config));
  const { header } = options;
  const files = filesOf(options.provider, pipeline, config, { header, extraJobs });
  const kept = files.ok ? withoutSecrets(files.value, pipeline, secrets, options.env) : files;
  return kept.ok ? ok({ files: kept.value, pipeline, config, warnings }) : kept;
}

/** What only splitbuild's own steps do. */
function notInDocker({ gates, failedPlatform }: Config): Diagnostic[] {
  const left = [
    ...(gates.length > 0 ? ["'gates' are not run"] : []),
    ...(failedPlatform === 'carry' ? ["'failedPlatform: carry' has no effect"] : []),
  ];
  return left.map((what) => ({
    code: 'not-in-docker-steps',
    severity: 'warning',
    message: `${what} by a pipeline of plain docker commands`,
    help: 'splitbuild ci generate --steps splitbuild writes one that does so',
  }));
}

function notForProvider(workflow: string, jobs: string[], provider: Provider): Diagnostic {
  return {
    code: 'other-provider',
    severity: 'warning',
    message: `workflow '${workflow}' goes without ${jobs.join(', ')}, which ${provider} has not`,
    help: `write ${jobs.length === 1 ? 'it' : 'them'} under 'ci.${provider}.jobs'`,
  };
}

function filesOf(
  provider: Provider,
  pipeline: Pipeline,
  { ci }: Config,
  common: { header: string[]; extraJobs: Record<string, string[]> },
): Result<Record<string, string>> {
  switch (provider) {
    case 'circleci':
      return ok({ '.circleci/config.yml': emitCircleci(pipeline, { ...common, settings: ci.circleci ?? {} }) });
    case 'github': {
      const { runners = {}, jobs = {} } = ci.github ?? {};
      return emitGithub(pipeline, { ...common, runners: given(runners), jobs });
    }
    case 'gitlab': {
      const { image = 'docker:27-git', tags = {}, jobs = {} } = ci.gitlab ?? {};
      const text = emitGitlab(pipeline, { ...common, image, tags: given(tags), jobs });
      return text.ok ? ok({ '.gitlab-ci.yml': text.value }) : text;
    }
    default:
      return unreachable(provider);
  }
}

function given<T>(machines: ByMachine<T>): Record<string, T> {
  return Object.fromEntries(
    Object.entries(machines).flatMap(([name, value]): [string, T][] => (value === undefined ? [] : [[name, value]])),
  );
}

/** The same jobs, as they wait for each other with the other `chain`. */
export function otherChain(workflow: PipelineWorkflow, chain: Config['chain']): PipelineWorkflow {
  const names = new Set(workflow.jobs.map(({ name }) => name));
  const jobs = workflow.jobs.map((job) => {
    if (job.kind !== 'build' || !job.platform) return job;
    const suffix = archSuffix(job.platform);
    const needs = job.needs.map((need) => {
      const other = chain === 'arch' ? need.replace(/-[^-]+$/, '-manifest') : need.replace(/-manifest$/, `-${suffix}`);
      return names.has(other) ? other : need;
    });
    return { ...job, needs: [...new Set(needs)] };
  });
  return { ...workflow, jobs: inOrder(jobs) };
}

/** Each after what it needs. */
function inOrder(jobs: PipelineWorkflow['jobs']): PipelineWorkflow['jobs'] {
  const byName = new Map(jobs.map((job) => [job.name, job]));
  const ordered = new Set<PipelineWorkflow['jobs'][number]>();
  const visit = (job: PipelineWorkflow['jobs'][number]): void => {
    if (ordered.has(job)) return;
    for (const need of job.needs) {
      const before = byName.get(need);
      if (before) visit(before);
    }
    ordered.add(job);
  };
  for (const job of jobs) visit(job);
  return [...ordered];
}

/** The longest chain of a workflow's jobs, first to last. */
export function chainOf({ jobs }: PipelineWorkflow): string[] {
  const longest = new Map<string, string[]>();
  let best: string[] = [];
  for (const job of jobs) {
    const before = job.needs.map((need) => longest.get(need) ?? []).reduce((a, b) => (b.length > a.length ? b : a), []);
    const chain = [...before, job.name];
    longest.set(job.name, chain);
    if (chain.length > best.length) best = chain;
  }
  return best;
}
