// Which reporter a run gets, from the flags, the streams and the environment.
import { createJsonReporter } from './json.ts';
import { createPlainReporter } from './plain.ts';
import type { Reporter } from './reporter.ts';
import { createTerminalReporter } from './terminal.ts';

export type { Reporter } from './reporter.ts';

export interface ReporterOptions {
  json: boolean;
  /** Whether `stderr`, which people read, is a terminal. */
  isTTY: boolean;
  env: Record<string, string | undefined>;
  stdout: NodeJS.WritableStream;
  stderr: NodeJS.WritableStream & { columns?: number; rows?: number };
  /** Print the output of every task as it comes. */
  verbose: boolean;
}

/** JSON lines go to stdout; all that is for people goes to stderr. */
export function createReporter({ json, isTTY, env, stdout, stderr, verbose }: ReporterOptions): Reporter {
  if (json) return createJsonReporter(stdout);
  const color = wantsColor(env, isTTY);
  const live = isTTY && env.TERM !== 'dumb' && !isSet(env.CI);
  if (!live || verbose) return createPlainReporter(stderr, { color, verbose });
  return createTerminalReporter(stderr, {
    color,
    now: Date.now,
    columns: () => stderr.columns ?? 80,
    rows: () => stderr.rows ?? 24,
  });
}

/** FORCE_COLOR wins over NO_COLOR, as in Node (https://nodejs.org/api/cli.html#force_color1-2-3); NO_COLOR as on https://no-color.org. */
export function wantsColor(env: Record<string, string | undefined>, isTTY: boolean): boolean {
  if (env.FORCE_COLOR !== undefined) return env.FORCE_COLOR !== '0' && env.FORCE_COLOR !== 'false';
  if (env.NO_COLOR) return false;
  return isTTY && env.TERM !== 'dumb' && !isSet(env.CI);
}

function isSet(value: string | undefined): boolean {
  return value !== undefined && value !== '' && value !== '0' && value !== 'false';
}
