// Makes a workflow of a parsed config: its jobs with all parameters put in, in an order in which each comes after what it requires.
import { suggest } from '../config/nearest.ts';
import type { Path } from '../config/parse.ts';
import { createProblems, type Problems } from '../config/problems.ts';
import { asMap } from '../config/tree.ts';
import { type Diagnostic, fail, ok, type Result } from '../failure.ts';
import { checkFilters } from './filters.ts';
import { bindParameters } from './parameters.ts';
import type { ParsedPipeline } from './parse.ts';
import type { RehearsalJob, Trigger } from './pipeline.ts';
import { type JobCall, orderJobs, readCalls, workflowRuns } from './requires.ts';
import type { Filters, WrittenMachine } from './schema.ts';
import { type Expansion, entryOf, expandSteps, texts } from './steps.ts';
import { pipelineScope, type Scope, substitute } from './template.ts';

export interface ExpandedWorkflow {
  name: string;
  /** Whether a push starts it: it has no `triggers`, and its `when` holds. */
  pushed: boolean;
  jobs: { job: RehearsalJob; filters?: Filters }[];
}

export interface ExpandedPipeline {
  workflows: ExpandedWorkflow[];
  warnings: Diagnostic[];
}

/** Every workflow, also those that are not asked for: CircleCI refuses a file for any of them. The failure is of kind `diagnostics`. */
export function expandPipeline({ file, written }: ParsedPipeline, trigger: Trigger): Result<ExpandedPipeline> {
  const problems = createProblems(file);
  const base = pipelineScope(trigger);
  const bound = bindParameters(
    {
      what: 'the pipeline',
      declared: written.parameters,
      declaredAt: ['parameters'],
      given: {},
      givenAt: ['parameters'],
    },
    problems,
  );
  const parameters = Object.entries(bound).map(([name, value]) => [`pipeline.${name}`, value] as const);
  const expansion: Expansion = {
    written,
    pipeline: { ...base, ...Object.fromEntries(parameters) },
    problems,
    within: [],
    budget: { left: 20_000 },
  };
  const workflows = Object.keys(written.workflows).map((name) => expandWorkflow(name, expansion));
  checkUnused(
    expansion,
    workflows.flatMap(({ calls }) => calls),
  );
  if (problems.hasErrors()) return fail({ kind: 'diagnostics', diagnostics: problems.all() });
  return ok({ workflows, warnings: problems.all() });
}

function expandWorkflow(name: string, expansion: Expansion): ExpandedWorkflow & { calls: JobCall[] } {
  const { written, pipeline, problems } = expansion;
  const workflow = written.workflows[name];
  if (!workflow) return { name, pushed: false, jobs: [], calls: [] };
  const path = ['workflows', name];
  const calls = readCalls(workflow, path, pipeline, problems);
  const ordered = orderJobs(calls, problems);
  const jobs = ordered.flatMap((call) => {
    checkFilters(call.options.filters, [...call.path, 'filters'], problems);
    const job = expandJob(call, expansion);
    return job ? [{ job, ...(call.options.filters ? { filters: call.options.filters } : {}) }] : [];
  });
  const pushed = workflow.triggers === undefined && workflowRuns(workflow, path, pipeline, problems);
  return { name, pushed, jobs, calls };
}

function expandJob(call: JobCall, expansion: Expansion): RehearsalJob | undefined {
  const { written, pipeline, problems } = expansion;
  const { options, path } = call;
  const common = { name: call.name, requires: call.requires, contexts: [options.context ?? []].flat() };
  if (options.type === 'approval') {
    return { ...common, approval: true, machine: false, environment: {}, workingDirectory: '~/project', steps: [] };
  }
  const job = entryOf(written.jobs, call.job);
  if (!job) {
    problems.error('unknown-job', path, `there is no job '${call.job}'`, {
      at: 'key',
      help: suggest(call.job, Object.keys(written.jobs)),
    });
    return undefined;
  }
  const jobPath = ['jobs', call.job];
  const bound = bindParameters(
    {
      what: `job '${call.job}'`,
      declared: job.parameters,
      declaredAt: [...jobPath, 'parameters'],
      given: call.given,
      givenAt: path,
    },
    problems,
  );
  const scope = { ...pipeline, ...bound };
  const executor =
    job.executor === undefined ? undefined : readExecutor(job.executor, [...jobPath, 'executor'], scope, expansion);
  const own = readMachine(job, jobPath, scope, problems);
  const machine = { ...executor, ...own, environment: { ...executor?.environment, ...own.environment } };
  if (job.executor === undefined && job.docker === undefined && job.machine === undefined) {
    problems.error('no-executor', jobPath, `job '${call.job}' has no docker, machine or executor`, { at: 'key' });
  }
  const steps = [
    ...expandSteps(options['pre-steps'] ?? [], [...path, 'pre-steps'], pipeline, expansion),
    ...expandSteps(job.steps, [...jobPath, 'steps'], scope, expansion),
    ...expandSteps(options['post-steps'] ?? [], [...path, 'post-steps'], pipeline, expansion),
  ];
  return {
    ...common,
    approval: false,
    ...machine,
    machine: machine.machine ?? false,
    workingDirectory: machine.workingDirectory ?? '~/project',
    steps,
  };
}

type Machine = Partial<Pick<RehearsalJob, 'resourceClass' | 'machine' | 'image' | 'shell' | 'workingDirectory'>> &
  Pick<RehearsalJob, 'environment'>;

function readMachine(written: WrittenMachine, path: Path, scope: Scope, problems: Problems): Machine {
  const at = (key: keyof WrittenMachine): unknown => substitute(written[key], [...path, key], scope, problems);
  const text = (key: 'resource_class' | 'shell' | 'working_directory'): string | undefined => {
    const value = at(key);
    return value === undefined ? undefined : String(value);
  };
  const [resourceClass, shell, workingDirectory] = [text('resource_class'), text('shell'), text('working_directory')];
  at('docker');
  const machine = at('machine');
  const image =
    written.docker?.[0] && substitute(written.docker[0].image, [...path, 'docker', 0, 'image'], scope, problems);
  return {
    environment: texts(asMap(at('environment'))),
    ...(machine === undefined ? {} : { machine: machine !== false }),
    ...(image === undefined ? {} : { image: String(image) }),
    ...(resourceClass === undefined ? {} : { resourceClass }),
    ...(shell === undefined ? {} : { shell }),
    ...(workingDirectory === undefined ? {} : { workingDirectory }),
  };
}

function readExecutor(
  given: string | { name: string },
  path: Path,
  scope: Scope,
  { written, pipeline, problems }: Expansion,
): Machine | undefined {
  const filled = substitute(given, path, scope, problems);
  const { name, ...args } = typeof filled === 'string' ? { name: filled } : { name: undefined, ...asMap(filled) };
  if (typeof name !== 'string') return undefined;
  const executor = entryOf(written.executors, name);
  if (!executor) {
    problems.error(
      'unknown-executor',
      typeof given === 'string' ? path : [...path, 'name'],
      `there is no executor '${name}'`,
      {
        help: suggest(name, Object.keys(written.executors ?? {}), 'the file has no executors'),
      },
    );
    return undefined;
  }
  const own = ['executors', name];
  const bound = bindParameters(
    {
      what: `executor '${name}'`,
      declared: executor.parameters,
      declaredAt: [...own, 'parameters'],
      given: args,
      givenAt: path,
    },
    problems,
  );
  return readMachine(executor, own, { ...pipeline, ...bound }, problems);
}

/** Jobs and commands that no workflow reaches: their steps must be known all the same. */
function checkUnused(expansion: Expansion, calls: JobCall[]): void {
  const { written, problems, pipeline } = expansion;
  const used = new Set(calls.map(({ job }) => job));
  for (const [kind, all] of [
    ['jobs', Object.entries(written.jobs).filter(([name]) => !used.has(name))],
    ['commands', Object.entries(written.commands ?? {})],
  ] as const) {
    for (const [name, { parameters, steps }] of all) {
      // Any value will do: it is the names that are looked at.
      const scope = Object.fromEntries(
        Object.entries(parameters ?? {}).map(([key, one]) => [
          `parameters.${key}`,
          sample(one.type, one.default ?? one.enum?.[0]),
        ]),
      );
      const found: Problems = {
        ...problems,
        error: (code, ...rest) => {
          if (code === 'unknown-step' || code === 'unknown-parameter' || code === 'open-parameter')
            problems.error(code, ...rest);
        },
      };
      const within = kind === 'commands' ? [name] : [];
      expandSteps(steps, [kind, name, 'steps'], { ...pipeline, ...scope }, { ...expansion, problems: found, within });
    }
  }
}

function sample(type: string, value: unknown): string | number | boolean {
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return value;
  return type === 'boolean' ? false : type === 'integer' ? 1 : '';
}
