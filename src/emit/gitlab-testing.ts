// For tests: small pipelines for GitLab, and a reader of .gitlab-ci.yml that does as GitLab: jobs extended, references followed, variables expanded.
import { parseDocument, visit } from 'yaml';
import { emitGitlab, type GitlabOptions } from './gitlab.ts';
import type { Job, Pipeline } from './pipeline.ts';

export const bare: GitlabOptions = { header: [], image: 'docker:27-git', tags: {}, jobs: {}, extraJobs: {} };

export function emitted(pipeline: Pipeline, given = bare): string {
  const text = emitGitlab(pipeline, given);
  if (!text.ok) throw new Error(JSON.stringify(text.failure));
  return text.value;
}

export function job(name: string, more: Partial<Job> = {}): Job {
  const step = { kind: 'script' as const, name: `do ${name}`, script: `echo ${name}` };
  return {
    name,
    title: name,
    kind: 'publish',
    large: false,
    needs: [],
    params: {},
    secrets: [],
    steps: [step],
    tasks: [],
    ...more,
  };
}

export type On = Pipeline['workflows'][number]['on'];

export function workflows(jobs: Record<string, Job[]>, on: Record<string, On> = {}): Pipeline {
  return {
    family: 'f',
    workflows: Object.entries(jobs).map(([name, jobs]) => ({ name, on: on[name] ?? { branch: name }, jobs })),
  };
}

export interface ReadJob {
  needs: string[];
  /** Its own variables and the file's, expanded. */
  params: Record<string, string>;
  /** Without the first line of each, which says what it does. */
  scripts: string[];
  rules: string[];
}

/** What GitLab's variables are in a test. */
export const context: Record<string, string> = {
  CI_COMMIT_TAG: 'TAG',
  CI_COMMIT_BRANCH: 'BRANCH',
  CI_COMMIT_SHA: 'SHA',
  CI_PIPELINE_ID: '42',
};

/** What is read of a job; a test that meets another shape fails. */
interface Definition {
  extends?: string | string[];
  needs?: (string | { job: string })[];
  variables?: Record<string, string | { value: string; expand: boolean }>;
  script?: (string | { reference: [job: string, key: string] })[];
  rules?: { if: string }[];
}

export function readGitlab(file: string): Map<string, ReadJob> {
  const document = parseDocument(file, { uniqueKeys: true, logLevel: 'error' });
  if (document.errors.length > 0) throw new Error(String(document.errors[0]));
  visit(document, {
    Seq: (_key, node) => (node.tag === '!reference' ? document.createNode({ reference: node.toJSON() }) : undefined),
  });
  const { variables = {}, stages: _stages, ...all } = document.toJS();
  const jobs = new Map<string, ReadJob>();
  for (const name of Object.keys(all).filter((key) => !key.startsWith('.'))) {
    const job = extended(name, all);
    const bodyOf = (from: string): string => (all[from]?.script ?? []).join('');
    jobs.set(name, {
      needs: (job.needs ?? []).map((need) => (typeof need === 'string' ? need : need.job)),
      params: Object.fromEntries(
        Object.entries({ ...variables, ...job.variables }).map(([variable, value]) => [variable, expand(value)]),
      ),
      scripts: steps((job.script ?? []).map((line) => (typeof line === 'string' ? line : bodyOf(line.reference[0])))),
      rules: (job.rules ?? []).map((rule) => rule.if),
    });
  }
  return jobs;
}

/** The later wins; variables are put together. */
function extended(name: string, all: Record<string, Definition>): Definition {
  const own = Object.hasOwn(all, name) ? all[name] : undefined;
  if (!own) throw new Error(`no job is ${name}`);
  const whole: Definition = { variables: {} };
  for (const part of [...[own.extends ?? []].flat().map((base) => extended(base, all)), own]) {
    Object.assign(whole, part, { variables: { ...whole.variables, ...part.variables } });
  }
  return whole;
}

/** The entries that begin with a comment begin steps. */
function steps(lines: string[]): string[] {
  const found: string[] = [];
  for (const line of lines) {
    if (line.startsWith('# ')) found.push(line.slice(line.indexOf('\n') + 1));
    else found.push(`${found.pop() ?? ''}${line}`);
  }
  return found.map((text) => (text.startsWith('(\n') && text.endsWith('\n)\n') ? text.slice(2, -2) : text));
}

function expand(value: unknown): string {
  if (typeof value === 'object' && value !== null && 'expand' in value && 'value' in value) return String(value.value);
  if (typeof value !== 'string') throw new Error(`no text: ${JSON.stringify(value)}`);
  return value.replace(/\$\$|\$(\w+)|\$\{(\w+)\}|\$/g, (whole, plain?: string, braced?: string) => {
    if (whole === '$$') return '$';
    const known = context[plain ?? braced ?? ''];
    if (known === undefined) throw new Error(`no value for ${whole} in ${value}`);
    return known;
  });
}
