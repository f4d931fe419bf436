// Runs one job: a folder of its own, its steps one after the other, and nothing of it left behind.
import { copyFile, mkdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { unreachable } from '../failure.ts';
import type { DockerAccess } from './builders.ts';
import { checkOut, type Repository } from './checkout.ts';
import { circleEnvironment, machineEnvironment } from './environment.ts';
import type { Emit, RehearsalEvent } from './event.ts';
import { borrowFolders } from './outside.ts';
import type { RehearsalJob, Step, Trigger } from './pipeline.ts';
import { createShell, defaultShell, type Shell } from './shell.ts';
import { type GhCall, installTools, type Tools } from './tools.ts';
import type { Workspace } from './workspace.ts';

export interface JobOptions {
  /** Absent until now. */
  folder: string;
  number: number;
  trigger: Trigger;
  workflowId: string;
  /** Of its contexts. */
  secrets: Record<string, string>;
  repository: Repository;
  workspace: Workspace;
  /** Undefined where it uses none. */
  docker: DockerAccess | undefined;
  dockerProgram: string | undefined;
  /** Folder whose config.json the job gets a copy of. */
  dockerConfig: string | undefined;
  allowGh: boolean;
  recorded(job: string, call: GhCall): void;
  env: Readonly<Record<string, string | undefined>>;
  emit: Emit;
  now(): number;
}

/** How many lines of a failed step are told. */
const keptLines = 60;

type Untimed<T> = T extends unknown ? Omit<T, 'at'> : never;

export async function runJob(
  job: RehearsalJob,
  options: JobOptions,
  signal: AbortSignal,
): Promise<'success' | 'failed' | 'canceled'> {
  const { folder, now } = options;
  const started = now();
  const say = (event: Untimed<RehearsalEvent>): void => options.emit({ at: now(), ...event });
  const finish = (end: 'success' | 'failed' | 'canceled'): typeof end => {
    say({ type: 'job-finished', job: job.name, end, durationMs: now() - started });
    return end;
  };
  const { docker } = options;
  say({ type: 'job-started', job: job.name, ...(docker ? { docker: docker.endpoint } : {}) });
  if (job.approval) {
    say({ type: 'job-note', job: job.name, text: 'an approval: passed, at CircleCI somebody has to do it' });
    return finish('success');
  }
  const home = join(folder, 'home');
  const workingDirectory = resolvePath(job.workingDirectory, home, home);
  const shell = createShell(signal);
  const borrowed = await borrowFolders(outsideFolders(job, home, workingDirectory));
  if (!borrowed.ok) {
    say({ type: 'step-failed', job: job.name, step: 'folders', durationMs: 0, message: borrowed.message, log: [] });
    return finish('failed');
  }
  try {
    const tools = await installTools(folder, options.dockerProgram, options.allowGh);
    const place = {
      home,
      temporary: join(folder, 'tmp'),
      bin: tools.bin,
      dockerConfig: join(home, '.docker'),
      bashEnv: join(folder, 'bash.env'),
    };
    await Promise.all(
      [home, place.temporary, place.dockerConfig, workingDirectory].map((one) => mkdir(one, { recursive: true })),
    );
    await writeFile(place.bashEnv, '');
    await prepareDockerConfig(place.dockerConfig, options);
    const env = {
      ...machineEnvironment(options.env, place),
      ...circleEnvironment(job, options.workflowId, options.number, options.trigger),
      ...options.secrets,
      ...job.environment,
      ...(job.machine ? docker?.env : {}),
    };
    if (docker?.emulates !== undefined) {
      const text = `${docker.endpoint} is another machine than this class has: its builds are for ${docker.emulates}, emulated`;
      say({ type: 'job-note', job: job.name, text });
    }
    const end = await runSteps({ job, options, signal, say, shell, tools, env, home, workingDirectory });
    return finish(end);
  } catch (error) {
    // A full disk, a folder without permission: this job's failure. Anything else is a bug.
    if (!(error instanceof Error && 'code' in error)) throw error;
    say({ type: 'step-failed', job: job.name, step: 'files', durationMs: 0, message: error.message, log: [] });
    return finish('failed');
  } finally {
    await shell.stop();
    await borrowed.giveBack();
    await rm(folder, { recursive: true, force: true }).catch(() => undefined);
  }
}

interface Running {
  job: RehearsalJob;
  options: JobOptions;
  signal: AbortSignal;
  say(event: Untimed<RehearsalEvent>): void;
  shell: Shell;
  tools: Tools;
  env: Record<string, string>;
  home: string;
  workingDirectory: string;
}

async function runSteps(running: Running): Promise<'success' | 'failed' | 'canceled'> {
  const { job, options, signal, say, tools } = running;
  let failed = false;
  for (const [index, step] of job.steps.entries()) {
    if (signal.aborted) return 'canceled';
    if (failed ? step.when === 'on_success' : step.when === 'on_fail') continue;
    if (step.kind === 'told') {
      say({ type: 'job-note', job: job.name, text: `${step.name}: left out, it needs CircleCI` });
      continue;
    }
    const started = options.now();
    say({ type: 'step-started', job: job.name, step: step.name });
    const log: string[] = [];
    const problem = await runStep(step, index, log, running);
    for (const call of await tools.takeRecords()) options.recorded(job.name, call);
    if (signal.aborted) return 'canceled';
    const durationMs = options.now() - started;
    if (problem === undefined) say({ type: 'step-finished', job: job.name, step: step.name, durationMs });
    else say({ type: 'step-failed', job: job.name, step: step.name, durationMs, message: problem, log });
    failed ||= problem !== undefined;
    if (!failed && (await tools.halted())) {
      say({ type: 'job-note', job: job.name, text: 'ended here by circleci-agent step halt' });
      return 'success';
    }
  }
  return failed ? 'failed' : 'success';
}

/** Why it failed; undefined if it did not. */
async function runStep(
  step: Exclude<Step, { kind: 'told' }>,
  index: number,
  log: string[],
  running: Running,
): Promise<string | undefined> {
  const { job, options, env, home, workingDirectory } = running;
  const at = (path: string): string => resolvePath(path, home, workingDirectory);
  switch (step.kind) {
    case 'run':
      return runCommand(step, index, log, running);
    case 'checkout':
      return checkOut(options.repository, at(step.path ?? '.'));
    case 'remote-docker':
      Object.assign(env, options.docker?.env);
      return undefined;
    case 'persist':
      return options.workspace.persist(job.name, at(step.root), step.paths);
    case 'attach':
      return options.workspace.attach(job.name, at(step.at));
    default:
      return unreachable(step);
  }
}

async function runCommand(
  step: Extract<Step, { kind: 'run' }>,
  index: number,
  log: string[],
  { job, options, say, shell, env, home, workingDirectory }: Running,
): Promise<string | undefined> {
  const script = join(options.folder, `step-${index + 1}.sh`);
  await writeFile(script, step.command);
  const written = step.shell ?? job.shell;
  const interpreter = written === undefined ? defaultShell(job.image) : written.split(/\s+/).filter(Boolean);
  const cwd =
    step.workingDirectory === undefined ? workingDirectory : resolvePath(step.workingDirectory, home, workingDirectory);
  if (!(await stat(cwd).catch(() => undefined))?.isDirectory())
    return `there is no folder ${step.workingDirectory ?? cwd}`;
  const command = {
    command: [...interpreter, script],
    cwd,
    env: { ...env, ...step.environment },
    onLine: (line: string) => {
      log.push(line);
      if (log.length > keptLines) log.shift();
      say({ type: 'step-output', job: job.name, step: step.name, line });
    },
  };
  if (step.background) {
    shell.start(command);
    return undefined;
  }
  const code = await shell.run(command);
  return code === undefined || code === 0 ? undefined : `exit code ${code}`;
}

function resolvePath(path: string, home: string, workingDirectory: string): string {
  if (path === '~' || path.startsWith('~/')) return join(home, path.slice(1));
  return isAbsolute(path) ? path : resolve(workingDirectory, path);
}

/** Folders that the job names by absolute paths: they are this machine's, not the job's own. */
function outsideFolders(job: RehearsalJob, home: string, workingDirectory: string): string[] {
  const named = job.steps.flatMap((step) => {
    if (step.kind === 'attach') return [step.at];
    if (step.kind === 'persist') return [step.root];
    return step.kind === 'checkout' && step.path !== undefined ? [step.path] : [];
  });
  const all = [workingDirectory, ...named.map((path) => resolvePath(path, home, workingDirectory))];
  return [...new Set(all)].filter((path) => !path.startsWith(`${dirname(home)}/`));
}

/** Plugins of the user's stay within reach; logins only if they are given. */
async function prepareDockerConfig(folder: string, { dockerConfig, env }: JobOptions): Promise<void> {
  if (dockerConfig !== undefined) await copyFile(join(dockerConfig, 'config.json'), join(folder, 'config.json'));
  const plugins = join(env.DOCKER_CONFIG ?? join(env.HOME ?? homedir(), '.docker'), 'cli-plugins');
  if (await stat(plugins).catch(() => undefined)) await symlink(plugins, join(folder, 'cli-plugins'));
}
