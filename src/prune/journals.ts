// What the journals of runs know of repositories: manifests that may have lost their tags, and what the next run or a way back needs.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Digest } from '../image/oci.ts';
import { parseReference } from '../image/reference.ts';
import type { Event } from '../run/event.ts';
import { parseJournal } from '../run/journal.ts';
import type { Known } from './candidates.ts';

export function nothingKnown(): Known {
  return { listed: new Map(), pinnedTags: new Map(), pinnedDigests: new Map(), wayBack: new Map() };
}

/** By repository, without the registry's host. */
export async function readJournals(folder: string): Promise<Map<string, Known>> {
  const names = (await readdir(folder).catch(() => [])).filter((name) => name.endsWith('.jsonl')).sort();
  const journals: Event[][] = [];
  for (const name of names) journals.push(parseJournal(await readFile(join(folder, name), 'utf8').catch(() => '')));
  return knownFrom(journals);
}

/** From journals in the order of their runs. */
export function knownFrom(journals: Event[][]): Map<string, Known> {
  const known = new Map<string, Known>();
  const of = (repository: string): Known => {
    const there = known.get(repository) ?? nothingKnown();
    known.set(repository, there);
    return there;
  };
  const unfinished = new Map<string, Map<string, { repository: string; digest: Digest; stagedTag?: string }>>();
  for (const [at, events] of journals.entries()) {
    const started = events.find((event) => event.type === 'run-started');
    if (started?.type !== 'run-started') continue;
    const { family, tasks } = started.plan;
    const repositories = new Map(tasks.map((task) => [task.id, task.repository]));
    const open = unfinished.get(family) ?? new Map();
    unfinished.set(family, open);
    for (const event of events) {
      if (event.type === 'task-finished' || event.type === 'task-reused') {
        const repository = repositories.get(event.task);
        if (repository === undefined || event.digest === undefined) continue;
        const { digest, stagedTag } = event;
        of(repository).listed.set(digest, Math.max(event.time, of(repository).listed.get(digest) ?? 0));
        open.set(event.task, { repository, digest, ...(stagedTag === undefined ? {} : { stagedTag }) });
        if (at === journals.length - 1) of(repository).pinnedDigests.set(digest, 'the newest run');
      } else if (event.type === 'tag-moved' && event.previous !== undefined) {
        const reference = parseReference(event.reference);
        if (!reference.ok) continue;
        const { repository, tag } = reference.value;
        of(repository).listed.set(event.previous, Math.max(event.time, of(repository).listed.get(event.previous) ?? 0));
        if (tag !== undefined) of(repository).wayBack.set(tag, event.previous);
      } else if (event.type === 'run-finished' && event.outcome === 'done') open.clear();
    }
  }
  for (const builds of unfinished.values()) {
    for (const { repository, digest, stagedTag } of builds.values()) {
      of(repository).pinnedDigests.set(digest, 'a run that isn’t finished');
      if (stagedTag !== undefined)
        of(repository).pinnedTags.set(stagedTag, 'a run that isn’t finished goes on from it');
    }
  }
  return known;
}
