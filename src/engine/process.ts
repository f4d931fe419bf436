// Runs an engine's client as a child process: its output line by line, its end by exit code, its death by an AbortSignal.
import { stripVTControlCharacters } from 'node:util';
import { fail, ok, type Result } from '../failure.ts';
import type { OnLine } from './engine.ts';

export interface ProcessOptions {
  /** The whole environment of the child. */
  env: Readonly<Record<string, string | undefined>>;
  signal: AbortSignal;
  /** Called for each line of stdout and stderr, without control sequences. */
  onLine?: OnLine;
  input?: string;
  cwd?: string;
}

export interface Exited {
  kind: 'exited';
  exitCode: number;
  stdout: string;
  /** The end of stdout and stderr, as they came. */
  lines: string[];
}

export type ProcessEnd =
  | Exited
  /** The program is not there or can't be executed. */
  | { kind: 'missing'; message: string }
  | { kind: 'cancelled' };

/** How many lines of output are kept for a failure. */
const keptLines = 60;

/** Runs an engine's client: whatever its exit code, it is a result; that it can't be run is a failure of the engine at `where`. */
export async function runClient(
  program: string,
  args: string[],
  options: ProcessOptions,
  where: string,
): Promise<Result<Exited>> {
  const end = await runProcess(program, args, options);
  if (end.kind === 'cancelled') return fail({ kind: 'cancelled' });
  if (end.kind === 'missing') return fail({ kind: 'engine', transient: false, message: end.message, where });
  return ok(end);
}

/** SIGTERM when the signal aborts, SIGKILL 5 s later; resolves only when the child has ended. */
export async function runProcess(program: string, args: string[], options: ProcessOptions): Promise<ProcessEnd> {
  const { execa } = await import('execa');
  if (options.signal.aborted) return { kind: 'cancelled' };
  const child = execa(program, args, {
    env: options.env,
    extendEnv: false,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.input === undefined ? { stdin: 'ignore' as const } : { input: options.input }),
    all: true,
    buffer: { stdout: options.onLine === undefined, stderr: false, all: false },
    maxBuffer: 64 * 1024 * 1024,
    reject: false,
    cancelSignal: options.signal,
    forceKillAfterDelay: 5000,
    stripFinalNewline: true,
  });
  const lines: string[] = [];
  const reading = (async () => {
    for await (const raw of child.iterable({ from: 'all' })) {
      // A progress bar rewrites its line: what counts is how it looks at the end.
      const line = stripVTControlCharacters(String(raw).split('\r').filter(Boolean).at(-1) ?? '').trimEnd();
      lines.push(line);
      if (lines.length > keptLines) lines.shift();
      options.onLine?.(line);
    }
  })().catch(() => undefined); // the iterable rejects with the child's own failure, which is read below
  const [done] = await Promise.all([child, reading]);
  if (done.isCanceled || options.signal.aborted) return { kind: 'cancelled' };
  if (done.exitCode === undefined && done.signal === undefined) {
    return { kind: 'missing', message: done.shortMessage ?? `${program} can't be run` };
  }
  return {
    kind: 'exited',
    // A shell's convention for a child that a signal ended.
    exitCode: done.exitCode ?? 128 + 9,
    stdout: typeof done.stdout === 'string' ? done.stdout : '',
    lines: done.signal ? [...lines, `${program} was ended by ${done.signal}`] : lines,
  };
}
