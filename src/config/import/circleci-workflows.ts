// Workflows as runs: one for each thing that starts jobs (a branch, a pattern of tags, a schedule, any push), with the jobs that it
// starts. CircleCI filters each job; splitbuild's workflows start as a whole.
import {
  type Filters,
  type ReadPipeline,
  type Workflow,
  type WorkflowJob,
  workflowJobSchema,
} from './circleci-schema.ts';
import { fillIn, truth } from './circleci-steps.ts';

export interface Invocation {
  /** Of the definition. */
  job: string;
  /** In its workflow. */
  name: string;
  params: Record<string, string>;
  requires: string[];
  contexts: string[];
  filters: Filters;
  line: number;
  isApproval: boolean;
}

export interface Trigger {
  branch?: string;
  tag?: string;
  schedule?: string;
}

export interface Run {
  /** As splitbuild's workflow is to be called. */
  name: string;
  /** As CircleCI's is. */
  workflow: string;
  on: Trigger;
  invocations: Invocation[];
  line: number;
}

const known = new Set([
  'name',
  'requires',
  'filters',
  'context',
  'matrix',
  'type',
  'pre-steps',
  'post-steps',
  'serial-group',
  'override-with',
]);

/** `matters` says whether a job builds: what starts the others alone makes no run of its own in a workflow that builds. */
export function readRuns(read: ReadPipeline, matters: (job: string) => boolean): Run[] {
  const runs: Run[] = [];
  for (const [name, workflow] of Object.entries(read.pipeline.workflows ?? {})) {
    if (typeof workflow !== 'object') continue;
    const invocations = workflow.jobs.flatMap((job, index) =>
      readInvocations(job, read, ['workflows', name, 'jobs', index]),
    );
    resolveRequires(invocations);
    const building = invocations.filter(({ job }) => matters(job));
    const triggers = triggersOf(workflow, building.length > 0 ? building : invocations, read);
    for (const on of triggers) {
      const started = invocations.filter(({ filters }) => starts(filters, on));
      if (started.length === 0) continue;
      const suffix = (on.branch ?? on.tag ?? (on.schedule ? 'scheduled' : ''))
        .replace(/[^A-Za-z0-9]+/g, '-')
        .replace(/^-|-$/g, '');
      const whole = triggers.length === 1 || suffix === '' ? name : `${name}-${suffix}`;
      runs.push({ name: whole, workflow: name, on, invocations: started, line: read.lineOf(['workflows', name]) });
    }
  }
  return runs;
}

function readInvocations(job: Workflow['jobs'][number], read: ReadPipeline, path: (string | number)[]): Invocation[] {
  const [name = '', given] = typeof job === 'string' ? [job, null] : (Object.entries(job)[0] ?? []);
  const options: WorkflowJob = given ?? workflowJobSchema.parse({});
  const base = typeof job === 'string' ? path : [...path, name];
  const params = Object.fromEntries(
    Object.entries(options).flatMap(([key, value]) =>
      known.has(key) || typeof value === 'object' ? [] : [[key, String(value)]],
    ),
  );
  const declared = Object.entries(read.pipeline.jobs[name]?.parameters ?? {}).flatMap(([key, { default: value }]) =>
    value === undefined || typeof value === 'object' ? [] : [[key, String(value)]],
  );
  return expandMatrix(options.matrix).map((chosen): Invocation => {
    const values = Object.values(chosen);
    const lookup = (wanted: string): unknown => (wanted.startsWith('matrix.') ? chosen[wanted.slice(7)] : undefined);
    const own = fillIn(options.name ?? [name, ...values].join('-'), lookup);
    return {
      job: name,
      name: own,
      params: {
        ...Object.fromEntries(declared),
        ...Object.fromEntries(Object.entries(params).map(([key, value]) => [key, fillIn(value, lookup)])),
        ...chosen,
      },
      requires: (options.requires ?? []).map((one) =>
        fillIn(typeof one === 'string' ? one : (Object.keys(one)[0] ?? ''), lookup),
      ),
      contexts: options.context ?? [],
      filters: options.filters ?? {},
      line: read.lineOf(base),
      isApproval: options.type === 'approval',
    };
  });
}

function expandMatrix(matrix: WorkflowJob['matrix']): Record<string, string>[] {
  let all: Record<string, string>[] = [{}];
  for (const [name, values] of Object.entries(matrix?.parameters ?? {})) {
    const list = typeof values === 'string' ? [values] : values;
    all = all.flatMap((one) => list.map((value) => ({ ...one, [name]: value }))).slice(0, 200);
  }
  const excluded = matrix?.exclude ?? [];
  return all.filter(
    (one) => !excluded.some((exclude) => Object.entries(exclude).every(([key, value]) => one[key] === value)),
  );
}

/** A name may mean all jobs of a matrix. */
function resolveRequires(invocations: Invocation[]): void {
  for (const invocation of invocations) {
    invocation.requires = invocation.requires.flatMap((name) => {
      if (invocations.some((other) => other.name === name)) return [name];
      const all = invocations.filter(({ job }) => job === name).map((other) => other.name);
      return all.length > 0 ? all : [name];
    });
  }
}

function triggersOf(workflow: Workflow, invocations: Invocation[], read: ReadPipeline): Trigger[] {
  const schedules = (workflow.triggers ?? []).flatMap(({ schedule }) => (schedule ? [schedule] : []));
  if (schedules.length > 0) {
    return schedules.map(({ cron, filters }): Trigger => {
      const [branch] = (filters?.branches?.only ?? []).flatMap(toGlobs);
      return { schedule: cron, ...(branch === undefined ? {} : { branch }) };
    });
  }
  const condition = 'when' in workflow ? workflow.when : undefined;
  const wanted = condition === undefined ? undefined : JSON.stringify(condition);
  const branch =
    /"equal":\["(?:<<\s*pipeline\.git\.branch\s*>>","([^"]+)|([^"]+)","<<\s*pipeline\.git\.branch\s*>>)"\]/.exec(
      wanted ?? '',
    );
  const named = branch?.[1] ?? branch?.[2];
  if (named !== undefined) return [{ branch: named }];
  const values = (name: string): unknown =>
    name.startsWith('pipeline.parameters.') ? read.pipeline.parameters?.[name.slice(20)]?.default : undefined;
  if (condition !== undefined && !truth(condition, (text) => fillIn(text, values))) return [];
  const found = new Map<string, Trigger>();
  const add = (trigger: Trigger): void => void found.set(JSON.stringify(trigger), trigger);
  for (const { filters } of invocations) {
    const { branches, tags } = filters;
    if (branches?.only) for (const branch of branches.only.flatMap(toGlobs)) add({ branch });
    else if (!ignoresAll(branches?.ignore)) add({});
    for (const tag of (tags?.only ?? []).flatMap(toGlobs)) add({ tag });
  }
  // What is started by any push is started by one to a branch as well; tests of a pushed branch are no reason for another workflow.
  return [...found.values()];
}

function starts({ branches, tags }: Filters, on: Trigger): boolean {
  if (on.schedule !== undefined) return true;
  if (on.tag !== undefined) return (tags?.only ?? []).flatMap(toGlobs).some((tag) => [on.tag, '*'].includes(tag));
  if (on.branch === undefined) return !branches?.only && !ignoresAll(branches?.ignore);
  if (branches?.only) return branches.only.flatMap(toGlobs).some((branch) => [on.branch, '*'].includes(branch));
  return !ignoresAll(branches?.ignore) && !(branches?.ignore ?? []).flatMap(toGlobs).includes(on.branch);
}

function ignoresAll(ignore: string[] | undefined): boolean {
  return (ignore ?? []).flatMap(toGlobs).includes('*');
}

/** `v6*` of the expression ^v6.*$, `main` and `v*` of main|v.+: CircleCI's patterns are expressions for the whole name. */
export function toGlobs(pattern: string): string[] {
  const inner = /^\/(.*)\/$/s.exec(pattern)?.[1];
  if (inner === undefined) return [pattern];
  return [...new Set(alternatives(inner).map(toGlob))];
}

function toGlob(expression: string): string {
  return expression
    .replace(/^\^|\$$/g, '')
    .replace(/\(\?:/g, '(')
    .replace(/\[[^\]]*\]/g, '.')
    .replace(/\\[dwS]/g, '.')
    .replace(/\.(\{[\d,]+\}|[*+]\??)/g, '*')
    .replace(/\([^()]*\)[*?+]/g, '*')
    .replace(/\([^()]*\|[^()]*\)/g, '*')
    .replace(/[()]/g, '')
    .replace(/(?<!\\)\./g, '?')
    .replace(/\\(.)/g, '$1')
    .replace(/\?\*|\*+/g, '*');
}

/** The parts between bars that lie in no brackets. */
function alternatives(expression: string): string[] {
  const found = [''];
  let depth = 0;
  for (const char of expression.replace(/^\^?\(([^()]*)\)\$?$/, '$1')) {
    if (char === '(' || char === '[') depth++;
    if (char === ')' || char === ']') depth--;
    if (char === '|' && depth === 0) found.push('');
    else found[found.length - 1] += char;
  }
  return found;
}
