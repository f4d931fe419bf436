// Everything that can happen in a run, in one union. The executor emits these; journal, terminal, CI log and JSON only read them.
import type { Failure } from '../failure.ts';
import type { Digest } from '../image/oci.ts';
import type { TagMoves } from '../image/publication.ts';
import type { Plan } from '../plan/plan.ts';

export interface BuilderInfo {
  name: string;
  endpoint: string;
  /** `docker 20.10.24 (/usr/bin/docker, BuildKit in the engine)`. */
  engine: string;
  native: string[];
  emulated: string[];
  slots: number;
}

export type Event = {
  /** Milliseconds since the epoch. */ time: number;
} /** First of a run: the plan, the builders, what the last runs took. */ & (
  | {
      type: 'run-started';
      run: string;
      plan: Plan;
      builders: BuilderInfo[] /** Task id to ms. */;
      lastDurations: Record<string, number>;
    }
  /** A task has its builder and begins. Publish tasks have none. */
  | {
      type: 'task-started';
      task: string;
      builder?: string;
      emulated?: boolean;
      attempt: number;
      /** Of a build: what it will be found under, whatever becomes of this process. */
      key?: string;
      stagedTag?: string;
    }
  /** A line of a task's output, without its line end. */
  | { type: 'task-output'; task: string; line: string }
  /** A task that an earlier run finished and that needs no repeating. */
  | {
      type: 'task-reused';
      task: string;
      digest?: Digest /** Staged tag of a build. */;
      stagedTag?: string;
      key?: string;
    }
  /** `durationMs` counts from task-started. Digest: image manifest of a build, joined index of a publish. */
  | {
      type: 'task-finished';
      task: string;
      durationMs: number;
      /** Of it, what went by once a build was built: pushing, and reading back. */
      pushMs?: number;
      digest?: Digest;
      /** Tag under which a build's result lies until it is published. */
      stagedTag?: string;
      /** Hash of everything the build depended on. */
      key?: string;
    }
  | { type: 'task-failed'; task: string; durationMs: number; failure: Failure; willRetry: boolean }
  /** Not begun because something it needs failed or the run was interrupted. */
  | { type: 'task-skipped'; task: string; because: string }
  /** The audit found programs of another machine in what a build made. */
  | { type: 'build-refused'; task: string; key: string }
  /** Something to know that stops nothing. */
  | { type: 'warning'; task?: string; message: string }
  /** Fell sick: gets no tasks until it answers again. */
  | { type: 'builder-lost'; builder: string; failure: Failure }
  | { type: 'builder-back'; builder: string }
  /** All is staged and verified, and tags begin to move. Unit: an image's name, or `family`. Planned: ms since the epoch. */
  | { type: 'publish-prepared'; unit: string; planned: number; groups: TagMoves[] }
  /** A tag now points at the digest; `previous` is what it pointed at before. */
  | { type: 'tag-moved'; reference: string; digest: Digest; previous?: Digest }
  /** A tag is back at what it was before the publication; without a digest it is gone again. */
  | { type: 'tag-restored'; reference: string; digest?: Digest }
  /** All tags are at their new images, or all at their old. */
  | { type: 'publish-finished'; unit: string; outcome: 'published' | 'taken-back' }
  /** The same, of an earlier run that ended in the middle of it. */
  | { type: 'publish-recovered'; run: string; unit: string; outcome: 'published' | 'taken-back' }
  /** Last of a run. */
  | {
      type: 'run-finished';
      run: string;
      outcome: 'done' | 'failed' | 'interrupted';
      wallMs: number;
      criticalPathMs: number;
      criticalPath: string[];
    }
);

export type Emit = (event: Event) => void;
