// Everything that can happen in a rehearsal. The report and `--json` only read it.

export type End = 'success' | 'failed' | 'canceled' | 'not_run';

export type RehearsalEvent = { /** ms since the epoch. */ at: number } & (
  | {
      type: 'rehearsal-started';
      workflow: string;
      ref: string;
      jobs: { name: string; requires: string[] }[];
      notes: string[];
    }
  | { type: 'job-started'; job: string /** Where its docker commands go. */; docker?: string }
  /** Something that goes otherwise than at CircleCI. */
  | { type: 'job-note'; job: string; text: string }
  | { type: 'step-started'; job: string; step: string }
  | { type: 'step-output'; job: string; step: string; line: string }
  | { type: 'step-finished'; job: string; step: string; durationMs: number }
  | {
      type: 'step-failed';
      job: string;
      step: string;
      durationMs: number;
      message: string /** The end of its output. */;
      log: string[];
    }
  | { type: 'job-finished'; job: string; end: 'success' | 'failed' | 'canceled'; durationMs: number }
  /** Never started. */
  | { type: 'job-skipped'; job: string; because: string }
  | {
      type: 'rehearsal-finished';
      outcome: 'success' | 'failed' | 'interrupted';
      durationMs: number;
      /** The jobs that required each other for the longest time: with builders enough, the workflow takes as long. */
      longest: { jobs: string[]; durationMs: number };
    }
);

export type Emit = (event: RehearsalEvent) => void;
