// The journal: a run's events as JSON lines on disk, synced where a promise is made; what earlier runs left is read back from it.
import { closeSync, fsyncSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type Failure, fail, ok, type Result } from '../failure.ts';
import type { Digest } from '../image/oci.ts';
import type { TagMoves } from '../image/publication.ts';
import type { Sample } from '../plan/learn.ts';
import type { BuilderInfo, Event } from './event.ts';
import { samplesOf } from './samples.ts';

export interface Journal {
  /** Fails where the file system does (disk full). */
  append(event: Event): Result<void>;
  close(): void;
}

const promises: ReadonlySet<Event['type']> = new Set([
  ...(['run-started', 'task-finished', 'publish-prepared', 'tag-moved', 'tag-restored'] as const),
  ...(['publish-finished', 'publish-recovered', 'run-finished'] as const),
]);

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

/** A build, or a test, of a run that did not complete. */
export interface Unfinished {
  key: string;
  stagedTag: string;
  /** Undefined where the run ended before it knew: what it pushed may lie under the staged tag all the same. */
  digest?: Digest;
  /** The builder that had it last: its cache has what was done. */
  builder?: string;
}

/** A publication that began to move tags and did not end. */
export interface OpenPublication {
  run: string;
  /** Ms since the epoch. */
  planned: number;
  unit: string;
  groups: TagMoves[];
}

export interface History {
  /** Task id to ms, from the newest run that has it. */
  durations: Record<string, number>;
  /** Build id to the part of its time that its push took, 0 to 1, from the newest run that has it. */
  pushShares: Record<string, number>;
  /** Of every run: how long builds and tests took, and where; oldest first. */
  samples: Sample[];
  /** By name, as the newest run that had it found it. */
  builders: Map<string, BuilderInfo>;
  /** Of runs since the last complete one, by task id: what a run that was stopped need not repeat. */
  unfinished: Map<string, Unfinished>;
  /** Builds whose images the audit refused, by task id: of which key, and in which runs. */
  refused: Map<string, { key: string; runs: Set<string> }>;
  /** Oldest first. */
  open: OpenPublication[];
}

/** What earlier runs of a family left, from their journals' texts, oldest first. */
export function replayHistory(journals: Iterable<string>, family: string): History {
  const history: History = {
    durations: {},
    pushShares: {},
    samples: [],
    builders: new Map(),
    unfinished: new Map(),
    refused: new Map(),
    open: [],
  };
  for (const text of journals) {
    const events = parseJournal(text, endedWell(text) ? outOfDate : withoutMeaning);
    const started = events.find((event) => event.type === 'run-started');
    if (started?.type !== 'run-started' || started.plan.family !== family) continue;
    const builds = started.plan.tasks.length > 0;
    for (const builder of started.builders) history.builders.set(builder.name, builder);
    history.samples.push(...samplesOf(events));
    for (const event of events) replay(event, { run: started.run, builds }, history);
  }
  return history;
}

/** Reads the newest runs' journals of a family. A torn last line, of a run that was killed, is passed over. */
export async function readHistory(folder: string, family: string): Promise<History> {
  const files = (await readdir(folder).catch(() => [])).filter((name) => name.endsWith('.jsonl'));
  const times = await Promise.all(
    files.map(async (name) => ({ name, time: (await stat(join(folder, name)).catch(() => undefined))?.mtimeMs ?? 0 })),
  );
  times.sort((a, b) => a.time - b.time || (a.name < b.name ? -1 : 1));
  const newest = times.slice(-20);
  const texts = await Promise.all(newest.map(({ name }) => readFile(join(folder, name), 'utf8').catch(() => '')));
  return replayHistory(texts, family);
}

/** `builds`: the run was to build, and was not a rollback. */
function replay(event: Event, { run, builds }: { run: string; builds: boolean }, history: History): void {
  switch (event.type) {
    case 'task-started': {
      const { task, key, stagedTag, builder } = event;
      if (key === undefined || stagedTag === undefined) return;
      history.unfinished.set(task, { key, stagedTag, ...(builder ? { builder } : {}) });
      return;
    }
    case 'task-finished':
    case 'task-reused': {
      const { task, key, stagedTag, digest } = event;
      if (event.type === 'task-finished') {
        history.durations[task] = event.durationMs;
        history.pushShares[task] = Math.min(1, (event.pushMs ?? 0) / Math.max(1, event.durationMs));
      }
      if (key === undefined || stagedTag === undefined || digest === undefined) return;
      const { builder } = history.unfinished.get(task) ?? {};
      history.unfinished.set(task, { key, stagedTag, digest, ...(builder ? { builder } : {}) });
      return;
    }
    case 'build-refused': {
      const before = history.refused.get(event.task);
      const runs = before?.key === event.key ? before.runs : new Set<string>();
      history.refused.set(event.task, { key: event.key, runs: runs.add(run) });
      return;
    }
    case 'publish-prepared':
      history.open.push({ run, unit: event.unit, planned: event.planned, groups: event.groups });
      return;
    case 'publish-finished':
      history.open = history.open.filter((one) => one.run !== run || one.unit !== event.unit);
      return;
    case 'publish-recovered':
      history.open = history.open.filter((one) => one.run !== event.run || one.unit !== event.unit);
      return;
    case 'run-finished':
      if (event.outcome === 'done' && builds) history.unfinished.clear();
      return;
  }
}

/** Beginnings of lines that tell a later run nothing: most of a journal, which needn't be parsed. */
const withoutMeaning = ['{"type":"task-output"'];
/** The same of a run that was done: it left nothing to go on with. */
const outOfDate = [...withoutMeaning, '{"type":"task-reused"'];

function endedWell(text: string): boolean {
  const [last] = parseJournal(text.slice(text.lastIndexOf('\n', text.length - 2) + 1));
  return last?.type === 'run-finished' && last.outcome === 'done';
}

/** `passedOver`: beginnings of lines that are left out. */
export function parseJournal(text: string, passedOver: string[] = []): Event[] {
  return text.split('\n').flatMap((line): Event[] => {
    try {
      return line === '' || passedOver.some((begin) => line.startsWith(begin)) ? [] : [JSON.parse(line) as Event];
    } catch {
      return [];
    }
  });
}
