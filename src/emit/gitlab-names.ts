// Names of GitLab's jobs: one file has those of all workflows, and some words mean something else there.
import { uniqueName } from './names.ts';
import type { Job, Pipeline } from './pipeline.ts';

/** Keys of the file that are no jobs (GitLab's `config/entry/root.rb`), and `pages`, which publishes a site. */
const keywords = new Set([
  ...['after_script', 'before_script', 'cache', 'default', 'image', 'include', 'pages', 'services', 'spec', 'stages'],
  ...['types', 'variables', 'workflow', 'true', 'false', 'nil'],
]);

export interface GitlabNames {
  /** Of a workflow's job. */
  of(workflow: string, job: string): string;
  /** Of a workflow's jobs, by the pipeline's names. */
  all(workflow: string): Map<string, string>;
  /** Of what jobs extend, by the keys of `templates`. */
  template(key: string): string;
}

/** A job in more than one workflow has that workflow's name behind its own: `build-base-amd64:develop`. */
export function gitlabNames(
  pipeline: Pipeline,
  extras: ReadonlyMap<string, ReadonlyMap<string, unknown>>,
  hidden: readonly string[],
  /** Wanted names by key, each with its dot. */
  templates: ReadonlyMap<string, string>,
): GitlabNames {
  const owned = pipeline.workflows.flatMap((workflow) => [
    ...workflow.jobs.map(({ name }) => ({ workflow: workflow.name, name })),
    ...[...(extras.get(workflow.name)?.keys() ?? [])].map((name) => ({ workflow: workflow.name, name })),
  ]);
  const count = new Map<string, number>();
  for (const { name } of owned) count.set(name, (count.get(name) ?? 0) + 1);
  const key = (workflow: string, name: string): string => ((count.get(name) ?? 0) > 1 ? `${name}:${workflow}` : name);
  // Two jobs may come to one key (`a:x`, and `a` of workflow x): the pair tells them apart.
  const wanted = new Map(owned.map(({ workflow, name }) => [pair(workflow, name), key(workflow, name)]));
  const names = uniquely(wanted, clean, []);
  const hiddenNames = uniquely(templates, (name) => `.${clean(name.slice(1))}`, hidden);
  return {
    of: (workflow, job) => names.get(pair(workflow, job)) ?? job,
    all: (workflow) =>
      new Map(
        owned
          .filter((one) => one.workflow === workflow)
          .map(({ name }): [string, string] => [name, names.get(pair(workflow, name)) ?? name]),
      ),
    template: (key) => hiddenNames.get(key) ?? key,
  };
}

function pair(workflow: string, job: string): string {
  return JSON.stringify([workflow, job]);
}

/** As `uniqueNames`, for names that several owners may want. */
function uniquely(
  wanted: ReadonlyMap<string, string>,
  cleaned: (name: string) => string,
  taken: readonly string[],
): Map<string, string> {
  const used = new Set(taken.map((name) => name.toLowerCase()));
  const result = new Map<string, string>();
  const ordered = [...wanted].sort(([, a], [, b]) => Number(cleaned(a) !== a) - Number(cleaned(b) !== b));
  for (const [owner, name] of ordered) {
    result.set(owner, uniqueName(cleaned(name), used));
  }
  return result;
}

/** A name that starts with a dot is never run; at most 255 characters. */
function clean(name: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it removes
  const line = name.replace(/[\s\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, ' ').trim();
  const visible = line === '' || line.startsWith('.') || keywords.has(line) ? `job ${line}`.trim() : line;
  return visible.length > 240 ? visible.slice(0, 240).trim() : visible;
}

/** Whether two workflows mean the same by a job but for its parameters and what it needs. */
export function sameJob(a: Job, b: Job): boolean {
  const shape = ({ kind, large, platform, steps, title }: Job): string =>
    JSON.stringify([kind, large, platform, steps, title]);
  return shape(a) === shape(b);
}
