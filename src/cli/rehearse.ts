// `splitbuild ci rehearse`: runs a CircleCI pipeline on this machine, so that it can be tried before it is pushed.
import { randomUUID } from 'node:crypto';
import { appendFileSync, existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { findDockerClient } from '../engine/docker-client.ts';
import { fail, ok, type Result } from '../failure.ts';
import { type MachineConfig, type Machines, machineConfig, openMachines } from '../rehearse/builders.ts';
import { type Repository, readRepository } from '../rehearse/checkout.ts';
import { type Contexts, readContexts } from '../rehearse/contexts.ts';
import type { Emit, RehearsalEvent } from '../rehearse/event.ts';
import { expandPipeline } from '../rehearse/expand.ts';
import { runJob } from '../rehearse/job.ts';
import { maskValues } from '../rehearse/mask.ts';
import { parsePipeline } from '../rehearse/parse.ts';
import type { Rehearsal, RehearsalJob, Trigger } from '../rehearse/pipeline.ts';
import { createReport } from '../rehearse/report.ts';
import { requiredJobs, runWorkflow } from '../rehearse/run.ts';
import { chooseWorkflow } from '../rehearse/select.ts';
import { defaultShell } from '../rehearse/shell.ts';
import { type GhCall, installers } from '../rehearse/tools.ts';
import { createWorkspace } from '../rehearse/workspace.ts';
import { formatDiagnostic } from '../report/diagnostic.ts';
import { color, interruptSignal, loadConfig, printFailure } from './load.ts';

export interface RehearseOptions {
  /** Jobs at a time. */
  jobs: string;
  branch?: string | undefined;
  tag?: string | undefined;
  /** `CLASS=ENDPOINT`. */
  builder: string[];
  config?: string | undefined;
  contexts?: string | undefined;
  checkout?: string | undefined;
  record?: string | undefined;
  dockerConfig?: string | undefined;
  allowGh?: true | undefined;
  list?: true | undefined;
  json?: true | undefined;
  verbose?: true | undefined;
}

export async function rehearse(file: string, workflow: string | undefined, options: RehearseOptions): Promise<number> {
  const limit = checkOptions(options);
  if (!limit.ok) return printFailure(limit.failure);
  const prepared = await prepare(file, workflow, options);
  if (!prepared.ok) return printFailure(prepared.failure);
  if (options.list) {
    for (const job of prepared.value.rehearsal.jobs) process.stdout.write(`${describe(job)}\n`);
    return 0;
  }
  const signal = interruptSignal();
  const folder = await mkdtemp(join(tmpdir(), 'splitbuild-rehearse-'));
  let machines: Machines | undefined;
  try {
    const opened = await openDocker(prepared.value.rehearsal.jobs, options, folder, signal);
    if (!opened.ok) return printFailure(opened.failure);
    machines = opened.value.machines;
    return await perform(prepared.value, { options, limit: limit.value, folder, ...opened.value }, signal);
  } finally {
    await machines?.close();
    await rm(folder, { recursive: true, force: true });
  }
}

function checkOptions({ jobs, branch, tag, dockerConfig }: RehearseOptions): Result<number> {
  if (!/^[1-9]\d{0,3}$/.test(jobs)) return fail({ kind: 'usage', message: `--jobs ${jobs} is no number above 0` });
  if (branch !== undefined && tag !== undefined) {
    return fail({
      kind: 'usage',
      message: 'a pipeline is for a branch or for a tag',
      help: 'give --branch or --tag, not both',
    });
  }
  if (dockerConfig !== undefined && !existsSync(join(dockerConfig, 'config.json'))) {
    return fail({
      kind: 'usage',
      message: `there is no config.json in ${dockerConfig}`,
      help: 'name a folder as ~/.docker',
    });
  }
  return ok(Number(jobs));
}

interface Prepared {
  rehearsal: Rehearsal;
  trigger: Trigger;
  repository: Repository;
  contexts: Contexts;
}

/** Everything that can be wrong without running anything. */
async function prepare(
  file: string,
  workflow: string | undefined,
  { branch, tag, contexts: contextsFile, checkout }: RehearseOptions,
): Promise<Result<Prepared>> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch {
    return fail({
      kind: 'usage',
      message: `there is no pipeline at ${file}`,
      help: 'CircleCI’s is .circleci/config.yml',
    });
  }
  if (checkout !== undefined && !existsSync(checkout)) {
    return fail({ kind: 'usage', message: `there is no folder ${checkout} to check out` });
  }
  const parsed = parsePipeline(text, file);
  if (!parsed.ok) return parsed;
  const repository = await readRepository(resolve(checkout ?? dirname(file)), checkout !== undefined);
  const trigger: Trigger = {
    ref:
      tag === undefined ? { kind: 'branch', name: branch ?? repository.branch ?? 'main' } : { kind: 'tag', name: tag },
    revision: repository.commit ?? '0'.repeat(40),
    // Grows from one rehearsal to the next, as CircleCI's does.
    number: Math.floor(Date.now() / 1000),
    id: randomUUID(),
    gitUrl: repository.origin ?? `file://${repository.folder}`,
  };
  const expanded = expandPipeline(parsed.value, trigger);
  if (!expanded.ok) return expanded;
  for (const warning of expanded.value.warnings)
    process.stderr.write(`${formatDiagnostic(warning, { color: color() })}\n`);
  const rehearsal = chooseWorkflow(expanded.value, workflow, trigger.ref);
  if (!rehearsal.ok) return rehearsal;
  const contexts = await readContexts(contextsFile);
  if (!contexts.ok) return contexts;
  return ok({ rehearsal: rehearsal.value, trigger, repository, contexts: contexts.value });
}

interface Docker {
  machines: Machines;
  /** The client that the steps get; undefined where there is none and no job needs one. */
  dockerProgram: string | undefined;
}

const usesDocker = (job: RehearsalJob): boolean =>
  job.machine || job.steps.some(({ kind }) => kind === 'remote-docker');

async function openDocker(
  jobs: RehearsalJob[],
  { builder, config }: RehearseOptions,
  folder: string,
  signal: AbortSignal,
): Promise<Result<Docker>> {
  const classes = jobs.filter(usesDocker).map(({ resourceClass }) => resourceClass);
  const client = await findDockerClient(process.env, signal);
  if (!client.ok) {
    if (classes.length > 0 || signal.aborted) return client;
    return ok({ machines: { of: () => undefined, close: async () => undefined }, dockerProgram: undefined });
  }
  const fromConfig = (): Promise<Result<MachineConfig | undefined>> => readMachineConfig(config);
  const machines = await openMachines(
    classes,
    { given: builder, fromConfig, client: client.value, env: process.env, folder },
    signal,
  );
  return machines.ok ? ok({ machines: machines.value, dockerProgram: client.value.program }) : machines;
}

const defaultConfig = 'splitbuild.yaml';

/** A pipeline may be rehearsed without a config: only one that was named has to be there. */
async function readMachineConfig(file = defaultConfig): Promise<Result<MachineConfig | undefined>> {
  if (file === defaultConfig && !existsSync(file)) return ok(undefined);
  const config = await loadConfig({ config: file, set: [] });
  return config.ok ? ok(machineConfig(config.value.builders, config.value.ci)) : config;
}

interface Performance extends Docker {
  options: RehearseOptions;
  limit: number;
  folder: string;
}

async function perform(
  { rehearsal, trigger, repository, contexts }: Prepared,
  { options, limit, folder, machines, dockerProgram }: Performance,
  signal: AbortSignal,
): Promise<number> {
  const { jobs, workflow } = rehearsal;
  const mask = maskValues(
    jobs.flatMap((job) => job.contexts.flatMap((name) => Object.values(contexts.get(name) ?? {}))),
  );
  const show: Emit = options.json
    ? (event) => void process.stdout.write(`${JSON.stringify(event)}\n`)
    : createReport(process.stderr, { color: color(), verbose: options.verbose ?? false });
  const emit: Emit = (event) => show(masked(event, mask));
  const recorded = (job: string, call: GhCall): void => {
    const args = call.args.map(mask);
    emit({ type: 'job-note', at: Date.now(), job, text: `gh ${args.join(' ')}: recorded, not run` });
    if (options.record !== undefined) appendFileSync(options.record, `${JSON.stringify({ job, ...call, args })}\n`);
  };
  const started = Date.now();
  const ref = `${trigger.ref.kind} ${trigger.ref.name}`;
  const summary = jobs.map(({ name, requires }) => ({ name, requires: requires.map(({ job }) => job) }));
  const notes = headNotes(jobs, contexts, options);
  emit({ type: 'rehearsal-started', at: started, workflow, ref, jobs: summary, notes });
  const required = requiredJobs(jobs);
  const workspace = createWorkspace(join(folder, 'workspace'), (job) => required.get(job) ?? new Set());
  const workflowId = randomUUID();
  const end = await runWorkflow(
    jobs,
    {
      limit,
      now: Date.now,
      skipped: (job, because) => emit({ type: 'job-skipped', at: Date.now(), job: job.name, because }),
      run: (job) => {
        const number = jobs.indexOf(job) + 1;
        const secrets = Object.assign({}, ...job.contexts.map((name) => contexts.get(name) ?? {}));
        const docker = usesDocker(job) ? machines.of(job.resourceClass) : undefined;
        const own = { folder: join(folder, `job-${number}`), number, secrets, docker };
        const shared = { trigger, workflowId, repository, workspace, dockerProgram, recorded, emit };
        const { allowGh = false, dockerConfig } = options;
        return runJob(job, { ...own, ...shared, allowGh, dockerConfig, env: process.env, now: Date.now }, signal);
      },
    },
    signal,
  );
  emit({ type: 'rehearsal-finished', at: Date.now(), durationMs: Date.now() - started, ...end });
  return end.outcome === 'success' ? 0 : end.outcome === 'failed' ? 1 : 130;
}

/** How a rehearsal differs from CircleCI, said once. */
function headNotes(jobs: RehearsalJob[], contexts: Contexts, { allowGh }: RehearseOptions): string[] {
  const missing = [...new Set(jobs.flatMap((job) => job.contexts))].filter((name) => !contexts.has(name));
  const lame = jobs.some(
    (job) => !job.approval && job.shell === undefined && defaultShell(job.image).join(' ') === 'sh -e',
  );
  return [
    "steps run in this machine's shell: the images of the executors are not run",
    `${installers.join(', ')} are not run: what the steps install has to be here`,
    ...(allowGh ? [] : ['gh is not run: what it is asked for is recorded (--allow-gh runs it)']),
    ...(lame
      ? ["this machine's sh knows no pipefail: in images without bash, a failure inside a pipe goes unnoticed here"]
      : []),
    ...missing.map(
      (name) => `context '${name}' is not given: its variables are not set (--contexts names a file of them)`,
    ),
  ];
}

function masked(event: RehearsalEvent, mask: (text: string) => string): RehearsalEvent {
  switch (event.type) {
    case 'step-output':
      return { ...event, step: mask(event.step), line: mask(event.line) };
    case 'step-failed':
      return { ...event, step: mask(event.step), log: event.log.map(mask) };
    default:
      return event;
  }
}

/** One line of --list. */
function describe({ name, requires, contexts, resourceClass, approval }: RehearsalJob): string {
  const parts = [
    ...(approval ? ['approval'] : []),
    ...(resourceClass === undefined ? [] : [resourceClass]),
    ...(requires.length > 0 ? [`requires ${requires.map(({ job }) => job).join(', ')}`] : []),
    ...(contexts.length > 0 ? [`contexts ${contexts.join(', ')}`] : []),
  ];
  return parts.length > 0 ? `${name}: ${parts.join('; ')}` : name;
}
