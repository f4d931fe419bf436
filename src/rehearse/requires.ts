// The jobs that a workflow calls, and the order that their `requires` give. https://circleci.com/docs/configuration-reference/#requires
import type { z } from 'zod';
import { suggest } from '../config/nearest.ts';
import type { Path } from '../config/parse.ts';
import type { Problems } from '../config/problems.ts';
import { holds } from './logic.ts';
import type { Requirement } from './pipeline.ts';
import {
  workflowJobSchema as schema,
  type workflowJobSchema,
  workflowJobShape,
  type workflowSchema,
} from './schema.ts';
import { checkShape } from './shape.ts';
import { type Scope, substitute } from './template.ts';

/** One entry of a workflow's jobs. */
export interface JobCall {
  /** What others require it by. */
  name: string;
  /** Of the job that it calls. */
  job: string;
  path: Path;
  options: z.output<typeof workflowJobSchema>;
  /** Arguments for the job's parameters. */
  given: Record<string, unknown>;
  requires: Requirement[];
}

const ends = ['success', 'failed', 'canceled', 'not_run'] as const;

export function readCalls(
  workflow: z.output<typeof workflowSchema>,
  path: Path,
  pipeline: Scope,
  problems: Problems,
): JobCall[] {
  const calls = workflow.jobs.flatMap((item, index): JobCall[] => {
    const at = [...path, 'jobs', index];
    const [entry, ...more] = typeof item === 'string' ? [[item, undefined] as const] : Object.entries(item);
    if (!entry || more.length > 0) {
      const help = 'indent what belongs to the job four spaces deeper than its dash';
      problems.error('job-call', at, 'a job of a workflow is one name, with its settings indented below it', { help });
      return [];
    }
    const [job, raw] = entry;
    const callPath = typeof item === 'string' ? at : [...at, job];
    const filled = substitute(raw ?? {}, callPath, pipeline, problems);
    const options = checkShape(schema, filled, callPath, problems);
    if (!options) return [];
    if ('matrix' in options) {
      problems.error('matrix', [...callPath, 'matrix'], 'a matrix is not rehearsed', {
        at: 'key',
        help: 'write the job once for each set of parameters, each with a name of its own',
      });
    }
    if (options.type !== undefined && options.type !== 'approval') {
      problems.error('job-type', [...callPath, 'type'], `jobs of type '${options.type}' are not rehearsed`);
    }
    const given = Object.fromEntries(
      Object.entries(options).filter(([key]) => !Object.hasOwn(workflowJobShape, key) && key !== 'matrix'),
    );
    const requires = (options.requires ?? []).flatMap((one, at) =>
      readRequirement(one, [...callPath, 'requires', at], problems),
    );
    return [{ name: options.name ?? job, job, path: callPath, options, given, requires }];
  });
  return nameApart(calls);
}

/** Calls of one name get numbers, as CircleCI gives them: `build-1`, `build-2`. */
function nameApart(calls: JobCall[]): JobCall[] {
  const seen = new Map<string, number>();
  return calls.map((call) => {
    if (calls.filter(({ name }) => name === call.name).length === 1) return call;
    const number = (seen.get(call.name) ?? 0) + 1;
    seen.set(call.name, number);
    return { ...call, name: `${call.name}-${number}` };
  });
}

function readRequirement(
  item: string | Record<string, string | string[]>,
  path: Path,
  problems: Problems,
): Requirement[] {
  if (typeof item === 'string') return [{ job: item, ends: new Set(['success']) }];
  return Object.entries(item).map(([job, statuses]) => {
    const wanted = [statuses].flat();
    for (const status of wanted) {
      if (status === 'terminal' || ends.some((end) => end === status)) continue;
      const help = suggest(status, [...ends, 'terminal']);
      problems.error('status', [...path, job], `'${status}' is no end that a job can come to`, { help });
    }
    return { job, ends: new Set(ends.filter((end) => wanted.includes('terminal') || wanted.includes(end))) };
  });
}

/** Each after what it requires, else as written. A requirement that names no job of the workflow, and a cycle, are problems. */
export function orderJobs(calls: JobCall[], problems: Problems): JobCall[] {
  const byName = new Map(calls.map((call) => [call.name, call]));
  const at = (call: JobCall, job: string): Path => {
    const index = (call.options.requires ?? []).findIndex(
      (one) => one === job || (typeof one === 'object' && Object.hasOwn(one, job)),
    );
    const path = [...call.path, 'requires', index];
    return typeof call.options.requires?.[index] === 'object' ? [...path, job] : path;
  };
  const ordered: JobCall[] = [];
  const state = new Map<JobCall, 'open' | 'done'>();
  const visit = (call: JobCall, trail: JobCall[]): void => {
    state.set(call, 'open');
    for (const { job } of call.requires) {
      const next = byName.get(job);
      if (!next) {
        const help = suggest(
          job,
          [...byName.keys()].filter((name) => name !== call.name),
        );
        problems.error('unknown-requirement', at(call, job), `no job of this workflow is named '${job}'`, {
          at: 'key',
          help,
        });
      } else if (state.get(next) === 'open') {
        const within = [...trail, call];
        const loop = [...within.slice(within.indexOf(next)), next].map(({ name }) => name);
        problems.error('cycle', at(call, job), `jobs that require each other never start: ${loop.join(' → ')}`, {
          at: 'key',
          help: 'leave one of these requirements out',
        });
      } else if (!state.has(next)) visit(next, [...trail, call]);
    }
    state.set(call, 'done');
    ordered.push(call);
  };
  for (const call of calls) if (!state.has(call)) visit(call, []);
  return ordered;
}

/** Whether `when` and `unless` of a workflow let it run. */
export function workflowRuns(
  workflow: z.output<typeof workflowSchema>,
  path: Path,
  pipeline: Scope,
  problems: Problems,
): boolean {
  const condition = (key: 'when' | 'unless'): boolean => {
    const at = [...path, key];
    return holds(substitute(workflow[key], at, pipeline, problems), at, problems);
  };
  return (workflow.when === undefined || condition('when')) && (workflow.unless === undefined || !condition('unless'));
}
