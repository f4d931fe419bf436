// The journal: a run's events as JSON lines on disk, synced where a promise is made; what earlier runs left is read back from it.
import { closeSync, fsyncSync, mkdirSync, openSync, writeFileSync } from 'node:fs';
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
          // Not writeSync: on a disk that gets full it writes a part of a line, and says so by a number only.
          writeFileSync(file, `${JSON.stringify(inOrder(event))}\n`);
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

/** The tasks, which are most of a journal, come last, so that a later run need not read them. */
function inOrder(event: Event): Event {
  if (event.type !== 'run-started') return event;
  const { type, run, time, builders, plan, lastDurations } = event;
  const { tasks, ...rest } = plan;
  return { type, run, time, builders, plan: { ...rest, tasks }, lastDurations };
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

/** What earlier runs of a family left, from their journals, oldest first. */
export function replayHistory(journals: Iterable<string | Buffer>, family: string): History {
  const history: History = {
    durations: {},
    pushShares: {},
    samples: [],
    builders: new Map(),
    unfinished: new Map(),
    refused: new Map(),
    open: [],
  };
  for (const journal of journals) {
    const bytes = typeof journal === 'string' ? Buffer.from(journal) : journal;
    const started = readStarted(bytes);
    if (started?.family !== family) continue;
    const events = parseJournal(meaningful(bytes));
    for (const builder of started.builders) history.builders.set(builder.name, builder);
    history.samples.push(...samplesOf(events));
    for (const event of events) replay(event, started, history);
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
  const journals = await Promise.all(newest.map(({ name }) => readFile(join(folder, name)).catch(() => '')));
  return replayHistory(journals, family);
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

interface Started {
  run: string;
  family: string;
  builders: BuilderInfo[];
  builds: boolean;
}

/** What the first line of a journal says, without parsing the tasks in it where they come last. */
function readStarted(journal: Buffer): Started | undefined {
  const end = journal.indexOf('\n');
  if (end < 0) return undefined;
  const tasks = journal.subarray(0, end).indexOf(',"tasks":[');
  const builds = tasks >= 0 && journal[tasks + ',"tasks":['.length] !== ']'.charCodeAt(0);
  const texts = tasks < 0 ? [] : [`${journal.toString('utf8', 0, tasks)},"tasks":[]}}`];
  for (const text of [...texts, journal.toString('utf8', 0, end)]) {
    const [event] = parseJournal(text);
    if (event?.type !== 'run-started' || event.builders === undefined) continue;
    return { run: event.run, family: event.plan.family, builders: event.builders, builds };
  }
  return undefined;
}

/** Types of events that tell a later run nothing: most of a journal, which needn't be parsed. */
const withoutMeaning = ['run-started', 'task-output', 'tag-moved', 'tag-restored', 'warning', 'task-failed'];
/** The same of a run that was done: it left nothing to go on with. */
const outOfDate = [...withoutMeaning, 'task-reused'];

/** The lines of a journal that a later run goes by. */
function meaningful(journal: Buffer): string {
  const passedOver = endedWell(journal) ? outOfDate : withoutMeaning;
  const beginnings = passedOver.map((type) => `{"type":"${type}"`);
  const longest = Math.max(...beginnings.map(({ length }) => length));
  const lines: string[] = [];
  for (let at = 0, end = 0; at < journal.length; at = end + 1) {
    end = journal.indexOf(10, at);
    if (end < 0) end = journal.length;
    const begin = journal.toString('latin1', at, Math.min(end, at + longest));
    if (!beginnings.some((one) => begin.startsWith(one))) lines.push(journal.toString('utf8', at, end));
  }
  return lines.join('\n');
}

function endedWell(journal: Buffer): boolean {
  const [last] = parseJournal(journal.toString('utf8', journal.lastIndexOf(10, -2) + 1));
  return last?.type === 'run-finished' && last.outcome === 'done';
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
