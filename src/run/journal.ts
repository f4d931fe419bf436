// The journal: a run's events as JSON lines on disk, synced where a promise is made; what earlier runs left is read back from it.
import { closeSync, fsyncSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Failure, fail, ok, type Result } from '../failure.ts';
import type { Digest } from '../image/oci.ts';
import type { Event } from './event.ts';

export interface Journal {
  /** Fails where the file system does (disk full). */
  append(event: Event): Result<void>;
  close(): void;
}

const promises: ReadonlySet<Event['type']> = new Set(['run-started', 'task-finished', 'tag-moved', 'run-finished']);

export function openJournal(folder: string, run: string): Result<Journal> {
  try {
    mkdirSync(folder, { recursive: true });
    const file = openSync(join(folder, `${run}.jsonl`), 'a', 0o600);
    return ok({
      append(event) {
        try {
          writeSync(file, `${JSON.stringify(event)}\n`);
          if (promises.has(event.type)) fsyncSync(file);
          return ok(undefined);
        } catch (error) {
          return fail(unwritable(error, folder));
        }
      },
      close() {
        closeSync(file);
      },
    });
  } catch (error) {
    return fail(unwritable(error, folder));
  }
}

function unwritable(error: unknown, folder: string): Failure {
  return {
    kind: 'system',
    message: `the journal can't be written: ${error instanceof Error ? error.message : String(error)}`,
    where: folder,
    help: 'make room, or give another folder with --state; then run again: what is done is not repeated',
  };
}

export interface FinishedBuild {
  digest: Digest;
  stagedTag: string;
  key: string;
}

export interface History {
  /** Task id to ms, from the newest run that has it. */
  durations: Record<string, number>;
  /** Builds of runs since the last complete one, by task id: what a run that was stopped need not repeat. */
  unfinished: Map<string, FinishedBuild>;
}

/** Reads the newest runs' journals of a family. A torn last line, of a run that was killed, is passed over. */
export async function readHistory(folder: string, family: string): Promise<History> {
  const history: History = { durations: {}, unfinished: new Map() };
  const files = (await readdir(folder).catch(() => [])).filter((name) => name.endsWith('.jsonl')).sort();
  for (const name of files.slice(-20)) {
    const events = parseJournal(await readFile(join(folder, name), 'utf8').catch(() => ''));
    const started = events.find((event) => event.type === 'run-started');
    if (started?.type !== 'run-started' || started.plan.family !== family) continue;
    for (const event of events) replay(event, history);
  }
  return history;
}

function replay(event: Event, history: History): void {
  if (event.type === 'task-finished') history.durations[event.task] = event.durationMs;
  if (
    (event.type === 'task-finished' || event.type === 'task-reused') &&
    event.digest &&
    event.stagedTag &&
    event.key
  ) {
    history.unfinished.set(event.task, { digest: event.digest, stagedTag: event.stagedTag, key: event.key });
  }
  if (event.type === 'run-finished' && event.outcome === 'done') history.unfinished.clear();
}

export function parseJournal(text: string): Event[] {
  return text.split('\n').flatMap((line): Event[] => {
    try {
      return line === '' ? [] : [JSON.parse(line) as Event];
    } catch {
      return [];
    }
  });
}
