// `splitbuild ci rehearse`: runs a CircleCI pipeline on this machine, so that it can be tried before it is pushed.
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { readText } from '../config/read-text.ts';
import { findDockerClient } from '../engine/docker-client.ts';
import { fail, ok, type Result } from '../failure.ts';
import { type MachineConfig, type Machines, machineConfig, openMachines } from '../rehearse/builders.ts';
import { readRepository } from '../rehearse/checkout.ts';
import { readContexts } from '../rehearse/contexts.ts';
import type { Emit } from '../rehearse/event.ts';
import { expandPipeline } from '../rehearse/expand.ts';
import { parsePipeline } from '../rehearse/parse.ts';
import { type Performance, perform, usesDocker } from '../rehearse/perform.ts';
import type { RehearsalJob, Trigger } from '../rehearse/pipeline.ts';
import { createReport } from '../rehearse/report.ts';
import { chooseWorkflow } from '../rehearse/select.ts';
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
    const { allowGh = false, dockerConfig, record, json, verbose = false } = options;
    const show: Emit = json
      ? (event) => void process.stdout.write(`${JSON.stringify(event)}\n`)
      : createReport(process.stderr, { color: color(), verbose });
    const chosen = { allowGh, dockerConfig, record, limit: limit.value };
    const outcome = await perform(
      { ...prepared.value, ...opened.value, ...chosen, folder, env: process.env, show, now: Date.now },
      signal,
    );
    return outcome === 'success' ? 0 : outcome === 'failed' ? 1 : 130;
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

type Prepared = Pick<Performance, 'rehearsal' | 'trigger' | 'repository' | 'contexts'>;

/** Everything that can be wrong without running anything. */
async function prepare(
  file: string,
  workflow: string | undefined,
  { branch, tag, contexts: contextsFile, checkout }: RehearseOptions,
): Promise<Result<Prepared>> {
  const text = await readText(file, {
    message: `there is no pipeline at ${file}`,
    help: 'CircleCI’s is .circleci/config.yml',
  });
  if (!text.ok) return text;
  if (checkout !== undefined && !existsSync(checkout)) {
    return fail({ kind: 'usage', message: `there is no folder ${checkout} to check out` });
  }
  const parsed = parsePipeline(text.value, file);
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

type Docker = Pick<Performance, 'machines' | 'dockerProgram'>;

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
