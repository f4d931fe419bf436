// Expected failures as values: what went wrong, where, what was tried and what to do. Only bugs throw (see unreachable).

/** A place in a file of the user's. Lines and columns count from 1; columns are UTF-16 code units. */
export interface Location {
  file: string;
  line: number;
  column: number;
  /** Exclusive; on the same line. */
  endColumn?: number;
  /** The whole offending line, for the printer. */
  text?: string;
}

/** One problem found in something that the user wrote. */
export interface Diagnostic {
  /** Stable and short: `unknown-key`, `cycle`, `dockerfile-syntax`. */
  code: string;
  severity: 'error' | 'warning';
  message: string;
  location?: Location;
  /** What to write instead. */
  help?: string;
}

interface Explained {
  message: string;
  /** Host, file, image or command that it happened at. */
  where?: string;
  /** What was tried, in order. */
  tried?: string[];
  /** What the user can do about it. */
  help?: string;
}

/** Everything that is expected to fail now and then. */
export type Failure =
  /** The user's files are wrong: exit code 2. */
  | { kind: 'diagnostics'; diagnostics: Diagnostic[] }
  /** The command line is wrong: exit code 2. */
  | ({ kind: 'usage' } & Explained)
  /** No engine answers at a builder's endpoint, or its client is not installed. */
  | ({ kind: 'engine'; transient: boolean } & Explained)
  /** No builder can take a platform. */
  | ({ kind: 'placement' } & Explained)
  /** A build ran and failed; never retried. `log` is the end of its output. */
  | ({ kind: 'build'; exitCode: number; log: string[] } & Explained)
  /** A test in an image, a gate or the audit of layers said no; never retried. `log` is the end of its output. */
  | ({ kind: 'check'; exitCode: number; log: string[] } & Explained)
  /** A tag is not where it was when the run planned: somebody else published. */
  | ({ kind: 'conflict' } & Explained)
  /** A registry refused or could not be reached. */
  | ({ kind: 'registry'; transient: boolean; status?: number; code?: string } & Explained)
  /** What is in the registry is not what was asked for. */
  | ({ kind: 'verification' } & Explained)
  /** The machine of the coordinator: disk full, no permission. */
  | ({ kind: 'system' } & Explained)
  /** git could not give a source. */
  | ({ kind: 'source'; transient: boolean } & Explained)
  /** The user interrupted: exit code 130. */
  | { kind: 'cancelled' };

export type Result<T> = { ok: true; value: T } | { ok: false; failure: Failure };

export function ok<T>(value: T): Result<T> {
  return { ok: true, value };
}

export function fail(failure: Failure): Result<never> {
  return { ok: false, failure };
}

/** A registry has no such manifest, blob or repository. */
export function isAbsent(failure: Failure): boolean {
  return failure.kind === 'registry' && failure.status === 404;
}

/** Ends a switch over a union: a case that is added later is then a compile error here. */
export function unreachable(value: never): never {
  throw new Error(`unreachable: ${JSON.stringify(value)}`);
}

/** Exit code of a command that ended with this failure. */
export function exitCode(failure: Failure): 1 | 2 | 130 {
  switch (failure.kind) {
    case 'diagnostics':
    case 'usage':
      return 2;
    case 'cancelled':
      return 130;
    case 'engine':
    case 'placement':
    case 'build':
    case 'check':
    case 'conflict':
    case 'registry':
    case 'verification':
    case 'system':
    case 'source':
      return 1;
    default:
      return unreachable(failure);
  }
}
