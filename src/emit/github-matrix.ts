// Which build jobs GitHub can have as one with a matrix: those of one image that wait for the same, and that nobody waits for singly.
// A job that needs one with a matrix waits for all of it, so chains from platform to platform stay jobs of their own.
import { archSuffix, formatPlatform } from '../image/platform.ts';
import type { Job, ScriptStep, Step } from './pipeline.ts';
import { shellWord } from './steps.ts';

/** One GitHub job: one of the pipeline's, or several of one image. */
export interface Group {
  /** `build-base` for `build-base-amd64` and `build-base-arm64`; else the job's own. */
  name: string;
  jobs: [Job, ...Job[]];
  /** What differs within it: a value for each of its jobs, by name in the matrix. Empty for a job of its own. */
  columns: Map<string, string[]>;
  /** With `inMatrix(column)` where a value of the matrix belongs. */
  steps: Step[];
  params: Record<string, string>;
}

/** Stands for a value of the matrix until the rest of the text is escaped; no script has a NUL. */
export function inMatrix(column: string): string {
  return `\0${column}\0`;
}

/** `others`: what jobs that aren't the pipeline's need. */
export function groupJobs(jobs: readonly Job[], others: readonly (readonly string[])[]): Group[] {
  const families = new Map<string, Job[]>();
  for (const job of jobs) {
    const stem = stemOf(job);
    if (stem !== undefined) families.set(stem, [...(families.get(stem) ?? []), job]);
  }
  const names = new Set(jobs.map(({ name }) => name));
  // Who waits for each job, by their places.
  const waiters = new Map<string, number[]>();
  for (const [place, needs] of [...jobs.map((job) => job.needs), ...others].entries()) {
    for (const need of new Set(needs)) waiters.set(need, [...(waiters.get(need) ?? []), place]);
  }
  const groups: Group[] = [];
  const done = new Set<Job>();
  for (const job of jobs) {
    if (done.has(job)) continue;
    const stem = stemOf(job);
    const family = stem === undefined || names.has(stem) ? [] : (families.get(stem) ?? []);
    const group = stem !== undefined && areNeededAsOne(family, waiters) ? groupOf(stem, family) : undefined;
    groups.push(group ?? { name: job.name, jobs: [job], columns: new Map(), steps: job.steps, params: job.params });
    for (const one of group?.jobs ?? [job]) done.add(one);
  }
  return groups;
}

function stemOf({ kind, name, platform, steps }: Job): string | undefined {
  if (kind !== 'build' || !platform || steps.some((step) => step.kind === 'persist' || step.kind === 'attach')) return;
  const end = `-${archSuffix(platform)}`;
  return name.endsWith(end) && name.length > end.length ? name.slice(0, -end.length) : undefined;
}

function areNeededAsOne(family: Job[], waiters: ReadonlyMap<string, number[]>): boolean {
  return new Set(family.map(({ name }) => (waiters.get(name) ?? []).join())).size <= 1;
}

/** Undefined where the jobs differ in more than a matrix can say. */
function groupOf(name: string, [first, ...rest]: Job[]): Group | undefined {
  if (!first || rest.length === 0) return;
  const jobs: Group['jobs'] = [first, ...rest];
  const shape = ({ large, needs, params, secrets, steps }: Job): string =>
    JSON.stringify([large, needs, Object.keys(params), secrets, steps.map(({ kind }) => kind)]);
  if (rest.some((job) => shape(job) !== shape(first))) return;
  const platforms = jobs.map(({ platform }) => (platform ? formatPlatform(platform) : ''));
  const columns = new Map([
    ['job', jobs.map((job) => job.name)],
    ['platform', platforms],
  ]);
  const vary = (variable: string, values: string[]): string | undefined => {
    const column = variable.toLowerCase();
    const known = columns.get(column);
    if (!/^[a-z_][a-z0-9_]*$/.test(column) || column === 'runner') return;
    if (known?.some((value, index) => value !== values[index])) return;
    columns.set(column, values);
    return inMatrix(column);
  };
  const params: Record<string, string> = {};
  for (const param of Object.keys(first.params)) {
    const value = same(
      jobs.map((job) => job.params[param] ?? ''),
      (values) => vary(param, values),
    );
    if (value === undefined) return;
    params[param] = value;
  }
  const steps = first.steps.map((step, index) => {
    const all = jobs.flatMap((job) => job.steps[index] ?? []).filter((one) => one.kind === 'script');
    return step.kind === 'script' ? stepOf(all, platforms, vary) : step;
  });
  return steps.includes(undefined)
    ? undefined
    : { name, jobs, columns, steps: steps.filter((step) => step !== undefined), params };
}

type Vary = (variable: string, values: string[]) => string | undefined;

/** The value if all have the same, else what `differ` makes of them. */
function same(values: string[], differ: (values: string[]) => string | undefined): string | undefined {
  return values.every((value) => value === values[0]) ? values[0] : differ(values);
}

/** One step for several that differ in settings, and in the platform in their names. */
function stepOf(steps: ScriptStep[], platforms: string[], vary: Vary): ScriptStep | undefined {
  const [first] = steps;
  const name = same(
    steps.map((step, index) => step.name.replaceAll(platforms[index] ?? '', inMatrix('platform'))),
    () =>
      same(
        steps.map((step) => step.name),
        () => undefined,
      ),
  );
  const script = same(
    steps.map((step) => step.script),
    () => scriptOf(steps, vary),
  );
  return first && name !== undefined && script !== undefined ? { ...first, name, script } : undefined;
}

function scriptOf(steps: ScriptStep[], vary: Vary): string | undefined {
  const parts = steps.flatMap((step) => step.parts ?? []);
  const [first] = parts;
  if (!first || parts.length !== steps.length) return;
  const variables = Object.keys(first.settings);
  const shape = (part: typeof first): string => JSON.stringify([part.body, Object.keys(part.settings)]);
  if (parts.some((part) => shape(part) !== shape(first))) return;
  const lines = parts.map(({ settings }) => variables.map((name) => `${name}=${shellWord(settings[name] ?? '')}`));
  // Only scripts that are what their parts say can be put together from them.
  if (steps.some(({ script }, index) => script !== [...(lines[index] ?? []), first.body].join('\n'))) return;
  const common = variables.map((name, at) =>
    same(
      lines.map((line) => line[at] ?? ''),
      () => {
        const value = vary(
          name,
          parts.map(({ settings }) => shellWord(settings[name] ?? '').slice(1, -1)),
        );
        return value === undefined ? undefined : `${name}="${value}"`;
      },
    ),
  );
  return common.includes(undefined) ? undefined : [...common, first.body].join('\n');
}
