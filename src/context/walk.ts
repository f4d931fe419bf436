// What of a context folder an engine is sent, with what decides about it: kind, mode, links' targets; contents are for hash-context.ts.
import { lstatSync, readdirSync, readlinkSync, type Stats } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { IgnoreRules, Verdict } from './ignore.ts';

/** What tells that a file is still the one that was hashed. Times are ms since the epoch, to the microsecond. */
export interface FileState {
  /** Bytes. */
  size: number;
  modified: number;
  /** When its inode last changed, mode and name included: a modification that has set the time back still shows here. */
  changed: number;
  inode: number;
}

export interface ContextEntry {
  /** Relative to the context, with `/`. */
  path: string;
  kind: 'file' | 'folder' | 'link' | 'other';
  /** Permission bits, set-uid, set-gid and sticky ones included. Owners and times are not sent (both are set by the client). */
  mode: number;
  /** Of a link. */
  target?: string;
  /** Of a file. */
  state?: FileState;
}

/** Ms that all contexts together may take before others have their turn: registries answer meanwhile, and are to be asked for more. */
const turn = 5;
let since = 0;
let waiting: Promise<void> = Promise.resolve();

/** Gives way to everything else that waits, where the contexts have had their turn. Each that waits for the next has one of its own. */
export function giveWay(): Promise<void> | undefined {
  if (performance.now() - since < turn) return undefined;
  waiting = waiting
    .then(() => nextTurn())
    .then(() => {
      since = performance.now();
    });
  return waiting;
}

/**
 * All that the rules keep, and the folders that lead there. The calls are the blocking ones, in short turns: on a local disk they take a
 * third of the time that the same calls take by way of libuv's threads (100,000 files: 0.4 s against 1.3 s). Throws where the file system does.
 */
export async function walkContext(context: string, rules: IgnoreRules): Promise<ContextEntry[]> {
  const entries: ContextEntry[] = [];
  const leads = new Map<string, ContextEntry>();
  const folders: { path: string; verdict: Verdict; above: ContextEntry[] }[] = [
    { path: '', verdict: rules.top, above: [] },
  ];
  for (let folder = folders.pop(); folder; folder = folders.pop()) {
    const { above, verdict } = folder;
    for (const name of readdirSync(join(context, folder.path))) {
      const path = folder.path === '' ? name : `${folder.path}/${name}`;
      const judged = rules.judge(path, verdict);
      if (judged.ignored && !judged.mayHoldKept) continue;
      const stat = lstatSync(join(context, path));
      if (stat.isDirectory()) {
        const entry: ContextEntry = { path, kind: 'folder', mode: stat.mode & 0o7777 };
        if (judged.ignored) folders.push({ path, verdict: judged, above: [...above, entry] });
        else {
          keep(entry, above);
          folders.push({ path, verdict: judged, above: [] });
        }
      } else if (!judged.ignored) keep(entryOf(path, join(context, path), stat), above);
    }
    const gaveWay = giveWay();
    if (gaveWay) await gaveWay;
  }
  return [...entries, ...leads.values()];

  /** A folder that is ignored itself is sent for the sake of what is kept in it. */
  function keep(entry: ContextEntry, above: ContextEntry[]): void {
    entries.push(entry);
    for (const folder of above) leads.set(folder.path, folder);
  }
}

function entryOf(path: string, file: string, stat: Stats): ContextEntry {
  const mode = stat.mode & 0o7777;
  if (stat.isSymbolicLink()) return { path, kind: 'link', mode, target: readlinkSync(file) };
  if (!stat.isFile()) return { path, kind: 'other', mode };
  const { size, mtimeMs: modified, ctimeMs: changed, ino: inode } = stat;
  return { path, kind: 'file', mode, state: { size, modified, changed, inode } };
}
