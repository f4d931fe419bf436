// Runs the steps of a job: each shell leads a process group of its own, so that all that a step started ends with it.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { stripVTControlCharacters } from 'node:util';

export interface ShellCommand {
  /** Program and arguments; the script's file comes last. */
  command: string[];
  cwd: string;
  env: Record<string, string>;
  onLine(line: string): void;
}

export interface Shell {
  /** Exit code; undefined when the signal aborted. */
  run(command: ShellCommand): Promise<number | undefined>;
  /** Goes on while other steps run, until `stop`. */
  start(command: ShellCommand): void;
  /** Ends whatever still runs: SIGTERM, SIGKILL 5 s later. */
  stop(): Promise<void>;
}

const patience = 5000;

export function createShell(signal: AbortSignal): Shell {
  const groups = new Set<number>();
  // A second Ctrl-C ends this process at once, and must leave nothing behind.
  const killAll = (): void => {
    for (const group of groups) send(group, 'SIGKILL');
  };
  process.once('exit', killAll);

  function launch({ command, cwd, env, onLine }: ShellCommand): { child: ChildProcess; closed: Promise<unknown> } {
    // One pipe for both, so that their lines stay in order.
    const child = spawn('/bin/sh', ['-c', 'exec "$@" 2>&1', 'sh', ...command], {
      cwd,
      env,
      detached: true,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    if (child.pid !== undefined) groups.add(child.pid);
    const lines = createInterface({ input: child.stdout });
    // A progress bar rewrites its line: what counts is how it looks at the end.
    lines.on('line', (raw) => onLine(stripVTControlCharacters(raw.split('\r').filter(Boolean).at(-1) ?? '').trimEnd()));
    return { child, closed: new Promise((done) => lines.once('close', done)) };
  }

  async function run(command: ShellCommand): Promise<number | undefined> {
    if (signal.aborted) return undefined;
    const { child, closed } = launch(command);
    const { pid } = child;
    const stopIt = (): void => void (pid !== undefined && end(pid));
    signal.addEventListener('abort', stopIt, { once: true });
    const code = await new Promise<number>((resolve) => {
      child.once('error', (error) => {
        command.onLine(error.message);
        resolve(127);
      });
      child.once('exit', (code) => resolve(code ?? 128 + 9));
    });
    signal.removeEventListener('abort', stopIt);
    // What a step left running may hold the pipe open; its output is not waited for.
    await Promise.race([closed, sleep(500, undefined, { ref: false })]);
    return signal.aborted ? undefined : code;
  }

  return {
    run,
    start(command) {
      launch(command).child.once('error', (error) => command.onLine(error.message));
    },
    async stop() {
      await Promise.all([...groups].map(end));
      groups.clear();
      process.removeListener('exit', killAll);
    },
  };
}

/** Whether the group was there. */
function send(group: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(-group, signal);
    return true;
  } catch {
    return false;
  }
}

async function end(group: number): Promise<void> {
  const begun = Date.now();
  if (!send(group, 'SIGTERM')) return;
  // Where nobody reaps them, the dead stay in their group: it is not waited for without end.
  while (send(group, 0) && Date.now() - begun < patience + 1000) {
    if (Date.now() - begun > patience) send(group, 'SIGKILL');
    await sleep(25);
  }
}

/** Images that are known to have no bash. */
const bashless = /^(docker\.io\/)?(library\/)?(docker|alpine|busybox)([:@].*)?$/;

let pipefail: boolean | undefined;

/**
 * CircleCI runs `bash -eo pipefail` where the image has bash, else `sh -eo pipefail`
 * (https://circleci.com/docs/configuration-reference/#default-shell-options). This machine's sh may know no pipefail: Debian's does not.
 */
export function defaultShell(image: string | undefined): string[] {
  if (image === undefined || !bashless.test(image)) return ['bash', '-eo', 'pipefail'];
  pipefail ??= spawnSync('sh', ['-eo', 'pipefail', '-c', ':'], { stdio: 'ignore' }).status === 0;
  return pipefail ? ['sh', '-eo', 'pipefail'] : ['sh', '-e'];
}
