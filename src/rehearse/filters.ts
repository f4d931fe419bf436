// Which jobs of a workflow run for a branch or a tag.
// https://circleci.com/docs/configuration-reference/#jobfilters: patterns match the whole name; without tag filters no job runs for a tag;
// `only` is looked at before `ignore`.
import type { Path } from '../config/parse.ts';
import type { Problems } from '../config/problems.ts';
import { wholeMatch } from './logic.ts';
import type { RehearsalJob, Trigger } from './pipeline.ts';
import type { Filters } from './schema.ts';

export function passes(filters: Filters | undefined, ref: Trigger['ref']): boolean {
  const rule = ref.kind === 'tag' ? filters?.tags : filters?.branches;
  if (rule?.only !== undefined) return matches(rule.only, ref.name);
  if (rule?.ignore !== undefined) return !matches(rule.ignore, ref.name);
  return ref.kind === 'branch';
}

function matches(patterns: string | string[], name: string): boolean {
  return [patterns].flat().some((pattern) => (isPattern(pattern) ? wholeMatch(pattern, name) : pattern === name));
}

function isPattern(text: string): boolean {
  return text.length > 1 && text.startsWith('/') && text.endsWith('/');
}

/** Tells patterns that are none. */
export function checkFilters(filters: Filters | undefined, path: Path, problems: Problems): void {
  for (const side of ['branches', 'tags'] as const) {
    for (const rule of ['only', 'ignore'] as const) {
      for (const pattern of [filters?.[side]?.[rule] ?? []].flat()) {
        if (isPattern(pattern) && wholeMatch(pattern, '') === undefined) {
          problems.error('pattern', [...path, side, rule], `${pattern} is no regular expression`, { at: 'pair' });
        }
      }
    }
  }
}

/**
 * The jobs that run. A requirement that is left out is ignored, but a job whose requirements are all left out does not run either:
 * https://circleci.com/docs/configuration-reference/#requires.
 */
export function selectJobs(jobs: { job: RehearsalJob; filters?: Filters }[], ref: Trigger['ref']): RehearsalJob[] {
  const running = new Map<string, RehearsalJob>();
  // They come in an order in which each is after what it requires.
  for (const { job, filters } of jobs) {
    if (!passes(filters, ref)) continue;
    const requires = job.requires.filter((one) => running.has(one.job));
    if (job.requires.length === 0 || requires.length > 0) running.set(job.name, { ...job, requires });
  }
  return [...running.values()];
}
