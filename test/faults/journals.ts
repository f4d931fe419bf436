// What the journals of a state folder say, read as anybody could: line by line, a torn one passed over, other fields left alone.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

const eventSchema = z.looseObject({
  type: z.string(),
  time: z.number().optional(),
  task: z.string().optional(),
  key: z.string().optional(),
  digest: z.string().optional(),
  outcome: z.string().optional(),
  willRetry: z.boolean().optional(),
  failure: z.looseObject({ kind: z.string(), message: z.string().optional() }).optional(),
});
export type JournalEvent = z.infer<typeof eventSchema>;

export interface JournalFile {
  name: string;
  events: JournalEvent[];
  /** Complete lines, output included. */
  lines: number;
}

/** In the order of their names, which is that of the runs. */
export function readJournals(state: string): JournalFile[] {
  const folder = join(state, 'runs');
  return journalNames(state).map((name) => {
    const text = readFileSync(join(folder, name), 'utf8');
    return { name, events: parseEvents(text), lines: text.split('\n').length - 1 };
  });
}

export function journalNames(state: string): string[] {
  try {
    return readdirSync(join(state, 'runs'))
      .filter((name) => name.endsWith('.jsonl'))
      .sort();
  } catch {
    return [];
  }
}

function parseEvents(text: string): JournalEvent[] {
  return text.split('\n').flatMap((line) => {
    try {
      const event = eventSchema.safeParse(JSON.parse(line));
      return event.success ? [event.data] : [];
    } catch {
      return [];
    }
  });
}

/** Those that faults are timed by: how many lines of output there are depends on the engines' mood. */
export function countEvents(events: JournalEvent[]): number {
  return events.filter(({ type }) => type !== 'task-output').length;
}

/** What went wrong and was not tried again, in the journal's words. */
export function failuresIn({ events }: JournalFile): string[] {
  return events.flatMap(({ type, task, failure, willRetry }) =>
    type === 'task-failed' && !willRetry ? [`${task}: ${failure?.kind}: ${failure?.message}`.slice(0, 1000)] : [],
  );
}

/** A build that was begun again though a journal says that it was finished. */
export interface Repeated {
  task: string;
  key: string;
  finishedIn: string;
  startedIn: string;
}

/**
 * Within a schedule nothing that a build depends on changes, so a build that is finished, with its key and digest, need never be begun
 * again, by that run or a later one.
 */
export function repeatedBuilds(journals: JournalFile[]): Repeated[] {
  const finished = new Map<string, { key: string; run: string }>();
  const repeated: Repeated[] = [];
  for (const { name, events } of journals) {
    for (const { type, task, key, digest } of events) {
      if (task === undefined) continue;
      const before = finished.get(task);
      if (type === 'task-started' && before) {
        repeated.push({ task, key: before.key, finishedIn: before.run, startedIn: name });
      }
      if (type === 'task-finished' && key && digest) finished.set(task, { key, run: name });
    }
  }
  return repeated;
}
