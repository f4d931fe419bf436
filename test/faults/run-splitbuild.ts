// One run of splitbuild as a child process of its own group, watched by its journal, and ended by force if it doesn't end.
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { secretName } from './family.ts';
import { countEvents, failuresIn, journalNames, readJournals } from './journals.ts';
import type { Rig } from './rig.ts';
import type { Fault, Schedule } from './schedule.ts';

export type KillFault = Extract<Fault, { kind: 'splitbuild-kill' }>;

export interface Ran {
  code: number | null;
  signal: NodeJS.Signals | null;
  ms: number;
  /** Standard output and error, as they came. */
  output: string;
  /** Name of its journal; undefined where it came to none. */
  journal: string | undefined;
  /** Events of the journal, output aside, and all its lines. */
  events: number;
  lines: number;
  /** What its journal says went wrong. */
  failures: string[];
  /** It did not end by itself in its time. */
  hung: boolean;
  /** Of the process group: what a killed run leaves behind is in it. */
  group: number;
  /** What was there a second after its end: processes of its group, temporary files. */
  leftovers: string[];
}

export interface RunOptions {
  /** dist/cli.js. */
  cli: string;
  json: Schedule['json'];
  kill: KillFault | undefined;
  limitMs: number;
  /** Called again and again with the number of the journal's events so far. */
  onProgress(events: number): void;
}

export async function runSplitbuild(rig: Rig, options: RunOptions): Promise<Ran> {
  const before = new Set(journalNames(rig.state));
  const temporary = new Set(readdirSync(rig.temporary));
  const connected = new Set(tunnels(rig));
  const started = Date.now();
  const { DOCKER_HOST, FORCE_COLOR, NODE_OPTIONS, ...inherited } = process.env;
  const { kill } = options;
  const child = spawn(process.execPath, [options.cli, 'build', ...(options.json ? ['--json'] : [])], {
    cwd: rig.family,
    env: {
      ...inherited,
      ...rig.env,
      CI: 'true',
      [secretName]: rig.canary,
      ...(kill ? dieAt(kill) : {}),
    },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const group = child.pid ?? 0;
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  // Not 'close': children that outlive a killed run hold the pipes.
  const ended = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code, signal) => resolve({ code, signal }));
  });
  let hung = false;
  let over = false;
  const newJournal = (): string | undefined => journalNames(rig.state).find((name) => !before.has(name));
  const watching = (async () => {
    while (!over) {
      const name = newJournal();
      options.onProgress(name ? countLines(join(rig.state, 'runs', name)) : 0);
      if (Date.now() - started > options.limitMs) {
        hung = true;
        endGroup(group);
      }
      await sleep(20);
    }
  })();
  const { code, signal } = await ended;
  over = true;
  await watching;
  await sleep(20); // the last words are still in the pipes
  child.stdout.destroy();
  child.stderr.destroy();
  const journal = newJournal();
  const file = readJournals(rig.state).find(({ name }) => name === journal);
  return {
    code,
    signal,
    ms: Date.now() - started,
    output,
    journal,
    events: file ? countEvents(file.events) : 0,
    lines: file?.lines ?? 0,
    failures: file ? failuresIn(file) : [],
    hung,
    group,
    leftovers: [
      ...(await leftoversOf(rig, group, temporary)),
      ...tunnels(rig).flatMap((pid) => (connected.has(pid) ? [] : [`the ssh process ${pid}`])),
    ],
  };
}

function dieAt({ at, moment, count, group }: KillFault): Record<string, string> {
  const preload = new URL('./die-at-event.ts', import.meta.url).href;
  return {
    NODE_OPTIONS: `--import=${preload}`,
    FAULTS_DIE_AT: `${at}/${moment}/${count}/${group ? 'group' : 'alone'}`,
  };
}

/** The ssh connections of runs, which are in no group but their own. */
export function tunnels(rig: Rig): number[] {
  return readdirSync('/proc').flatMap((pid) => {
    try {
      const command = /^\d+$/.test(pid) ? readFileSync(`/proc/${pid}/cmdline`, 'utf8') : '';
      return command.startsWith('ssh\0') && command.includes(rig.lab.sshConfig) ? [Number(pid)] : [];
    } catch {
      return []; // it has ended
    }
  });
}

/** Node's own cache of compiled modules is meant to stay. */
async function leftoversOf(rig: Rig, group: number, before: Set<string>): Promise<string[]> {
  for (let tries = 0; tries < 20 && groupLives(group); tries += 1) await sleep(50);
  const files = readdirSync(rig.temporary).flatMap((name) =>
    before.has(name) || name === 'node-compile-cache' ? [] : [`the temporary file ${name}`],
  );
  return [...(groupLives(group) ? [`processes of group ${group}`] : []), ...files];
}

function groupLives(group: number): boolean {
  try {
    return process.kill(-group, 0);
  } catch {
    return false;
  }
}

/** Of a journal that is being written, output aside. */
function countLines(file: string): number {
  const lines = readFileSync(file, 'utf8').split('\n').slice(0, -1);
  return lines.filter((line) => !line.includes('"task-output"')).length;
}

/** SIGKILL for a run and all that it started. */
export function endGroup(group: number): void {
  try {
    if (group > 1) process.kill(-group, 'SIGKILL');
  } catch {
    // nobody is left in it
  }
}
