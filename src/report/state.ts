// The state of a run as a fold over its events; every screen and log is drawn from it.
import { stripVTControlCharacters } from 'node:util';
import { type Failure, unreachable } from '../failure.ts';
import type { Digest } from '../image/oci.ts';
import { formatPlatform } from '../image/platform.ts';
import type { Task } from '../plan/plan.ts';
import type { BuilderInfo, Event } from '../run/event.ts';
import { PagedMap } from './task-map.ts';

export type TaskStatus = 'waiting' | 'running' | 'done' | 'reused' | 'failed' | 'skipped';

export interface TaskState {
  task: Task;
  status: TaskStatus;
  /** Attempts begun so far. */
  attempt: number;
  builder?: string;
  emulated: boolean;
  /** Milliseconds since the epoch. */
  started?: number;
  durationMs?: number;
  /** What the task took in an earlier run, ms. */
  lastDurationMs?: number;
  /** While it runs: a line is often a part of a text of 64 KiB, which is kept as long as it. */
  lastLine?: string;
  digest?: Digest;
  failure?: Failure;
  /** Why it was skipped. */
  because?: string;
}

export interface RunState {
  family: string;
  publish: 'image' | 'family';
  /** Milliseconds since the epoch. */
  started?: number;
  builders: BuilderInfo[];
  /** By task id, in the plan's order. */
  tasks: PagedMap<TaskState>;
  moved: Extract<Event, { type: 'tag-moved' }>[];
  finished?: Extract<Event, { type: 'run-finished' }>;
}

export const emptyState: RunState = {
  family: '',
  publish: 'image',
  builders: [],
  tasks: PagedMap.of<TaskState>([]),
  moved: [],
};

/** The state after one more event. Events of tasks that the plan does not have change nothing. */
export function reduce(state: RunState, event: Event): RunState {
  switch (event.type) {
    case 'run-started':
      return {
        family: event.plan.family,
        publish: event.plan.publish,
        started: event.time,
        builders: event.builders,
        tasks: PagedMap.of(
          event.plan.tasks.map((task): [string, TaskState] => [
            task.id,
            {
              task,
              status: 'waiting',
              attempt: 0,
              emulated: false,
              lastDurationMs: event.lastDurations[task.id],
            },
          ]),
        ),
        moved: [],
      };
    case 'task-started':
      return change(state, event.task, {
        status: 'running',
        attempt: event.attempt,
        builder: event.builder,
        emulated: event.emulated ?? false,
        started: event.time,
        lastLine: undefined,
        failure: undefined,
      });
    case 'task-output': {
      const lastLine = cleanLine(event.line);
      return saysNothing(lastLine) ? state : change(state, event.task, { lastLine });
    }
    case 'task-reused':
      return change(state, event.task, { status: 'reused', lastLine: undefined, digest: event.digest });
    case 'task-finished':
      return change(state, event.task, {
        status: 'done',
        lastLine: undefined,
        durationMs: event.durationMs,
        digest: event.digest,
      });
    case 'task-failed':
      return change(state, event.task, {
        status: event.willRetry ? 'waiting' : 'failed',
        lastLine: undefined,
        durationMs: event.durationMs,
        failure: event.failure,
      });
    case 'task-skipped':
      return change(state, event.task, { status: 'skipped', because: event.because });
    case 'tag-moved':
      return { ...state, moved: [...state.moved, event] };
    case 'run-finished':
      return { ...state, finished: event };
    case 'warning':
    case 'build-refused':
    case 'builder-lost':
    case 'builder-back':
    case 'publish-prepared':
    case 'publish-finished':
    case 'publish-recovered':
    case 'tag-restored':
      return state;
    default:
      return unreachable(event);
  }
}

/** What is said at once of an event that is of no task's state: a warning, a builder's health, tags that went back. */
export function notice(event: Event): string | undefined {
  switch (event.type) {
    case 'warning':
      return `warning: ${event.message}`;
    case 'builder-lost':
      return `builder ${event.builder} is sick: ${'message' in event.failure ? event.failure.message : event.failure.kind}`;
    case 'builder-back':
      return `builder ${event.builder} is well again`;
    case 'tag-restored':
      return `${event.reference} is ${event.digest ? `back at ${event.digest}` : 'gone again'}`;
    case 'publish-recovered':
      return event.outcome === 'published'
        ? `what run ${event.run} had begun to publish (${event.unit}) is published`
        : `what run ${event.run} had prepared to publish (${event.unit}) is not`;
    default:
      return undefined;
  }
}

/** How many tasks are in a status. */
export function count(state: RunState, status: TaskStatus): number {
  let number = 0;
  for (const task of state.tasks.values()) if (task.status === status) number += 1;
  return number;
}

/** `base linux/arm64` for a build, `test base linux/arm64`, `publish base`. */
export function taskName(task: Task): string {
  return task.kind === 'build' ? `${task.image} ${formatPlatform(task.platform)}` : task.id;
}

/** A line as it would stand on a terminal at its end: what `\r` overwrote is gone, and so are colours and control characters. */
export function cleanLine(line: string): string {
  if (!/\p{Cc}/u.test(line)) return line;
  const plain = stripVTControlCharacters(line).replace(/\r+$/, '');
  return plain
    .slice(plain.lastIndexOf('\r') + 1)
    .replace(/\t/g, '  ')
    .replace(/\p{Cc}/gu, '');
}

/** Empty, or one of BuildKit's lines that only number a step: `#6 sha256:…`, `#6 DONE 0.2s`, `#6 ...`. */
export function saysNothing(line: string): boolean {
  return /^\s*(#\d+ (sha256:[a-f0-9]{64}|DONE [\d.]+s|CACHED|\.\.\.))?\s*$/.test(line);
}

function change(state: RunState, id: string, changes: Partial<TaskState>): RunState {
  const before = state.tasks.get(id);
  if (!before) return state;
  return { ...state, tasks: state.tasks.with(id, { ...before, ...changes }) };
}
