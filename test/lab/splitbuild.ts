// Runs the bundled command line as a user does, and gives what it said.
import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Event } from '../../src/run/event.ts';

const root = new URL('../..', import.meta.url).pathname;
const program = join(root, 'dist/cli.js');

export interface Ran {
  code: number | null;
  stdout: string;
  stderr: string;
  /** Of `--json`. */
  events: Event[];
}

export interface RunOptions {
  cwd: string;
  env?: Record<string, string>;
  /** Called with each line of stdout as it comes. */
  onLine?: (line: string, kill: (signal: NodeJS.Signals) => void) => void;
}

export async function splitbuild(args: string[], { cwd, env = {}, onLine }: RunOptions): Promise<Ran> {
  const { DOCKER_HOST, FORCE_COLOR, ...inherited } = process.env;
  const child = spawn(process.execPath, [program, ...args], {
    cwd,
    env: { ...inherited, CI: 'true', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  let pending = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    stdout += chunk;
    const lines = (pending + chunk).split('\n');
    pending = lines.pop() ?? '';
    for (const line of lines) onLine?.(line, (signal) => child.kill(signal));
  });
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    stderr += chunk;
  });
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  const events = stdout.split('\n').flatMap((line) => (line.startsWith('{"') ? [JSON.parse(line) as Event] : []));
  return { code, stdout, stderr, events };
}

/** A copy of examples/quickstart in a folder, with `extra` lines at the end of its config. */
export function quickstart(folder: string, extra = ''): string {
  const copy = mkdtempSync(join(folder, 'quickstart-'));
  cpSync(join(root, 'examples/quickstart'), copy, {
    recursive: true,
    filter: (source) => !source.includes('.splitbuild'),
  });
  const config = join(copy, 'splitbuild.yaml');
  writeFileSync(config, `${readFileSync(config, 'utf8')}\n${extra}`);
  return copy;
}

/** The task ids of the events of a type. */
export function tasksOf(
  events: Event[],
  type: 'task-started' | 'task-finished' | 'task-reused' | 'task-failed' | 'task-skipped',
) {
  return events.flatMap((event) => (event.type === type ? [event.task] : []));
}
