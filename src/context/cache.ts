// Hashes of a context's files from runs before, so that only what has changed is read again. A file is taken for unchanged by its size, times
// and inode, as git's index does it, and like there one that was touched when it was looked at, or since, is never trusted ("racy git").
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sha256 } from '../image/digest.ts';
import type { FileState } from './walk.ts';

export interface FileHashes {
  /** Hex of the content's SHA-256; undefined where the file has to be read. */
  find(path: string, state: FileState): string | undefined;
  /** Keeps them for the next run; what can't be kept is read again then. */
  keep(files: Iterable<{ path: string; state: FileState; hash: string }>): void;
}

const header = 'splitbuild-context 1';
/** Ms after which what nobody has written anew is dropped. */
const lifetime = 30 * 24 * 3600_000;

/** `name` tells contexts apart: its path, and its ignore rules. The moment at which it is opened is the one up to which files are trusted. */
export function openFileHashes(folder: string, name: string): FileHashes {
  const file = join(folder, sha256(name).slice(7, 47));
  const { stamp, known } = read(file);
  const begun = touch(folder, `${file}.new`);
  return {
    find(path, { size, modified, changed, inode }) {
      const line = known.get(path);
      if (line === undefined || !isBefore(modified, stamp) || !isBefore(changed, stamp)) return undefined;
      const state = `${size} ${modified} ${changed} ${inode} `;
      return line.startsWith(state) ? line.slice(state.length) : undefined;
    },
    keep(files) {
      if (begun === undefined) return;
      const lines = [`${header} ${begun}`];
      for (const { path, hash, state } of files) {
        const { size, modified, changed, inode } = state;
        lines.push(`${size} ${modified} ${changed} ${inode} ${hash} ${JSON.stringify(path)}`);
      }
      try {
        writeFileSync(`${file}.new`, lines.join('\n'));
        renameSync(`${file}.new`, file);
        dropOld(folder);
      } catch {
        // A full disk is found by what can't do without.
      }
    },
  };
}

/** Strictly: in the time that a clock stands still, a file can change without its times showing it. Some file systems count seconds only. */
function isBefore(time: number, stamp: number): boolean {
  return time < (Number.isInteger(time / 1000) ? Math.floor(stamp / 1000) * 1000 : stamp);
}

function read(file: string): { stamp: number; known: Map<string, string> } {
  const known = new Map<string, string>();
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    return { stamp: 0, known };
  }
  const [first = '', ...lines] = text.split('\n');
  const stamp = first.startsWith(`${header} `) ? Number(first.slice(header.length + 1)) : Number.NaN;
  if (!(stamp > 0)) return { stamp: 0, known };
  for (const line of lines) {
    const match = /^(\d+ [\d.]+ [\d.]+ \d+ [0-9a-f]{64}) (".*")$/.exec(line);
    const path = match?.[2] === undefined ? undefined : readName(match[2]);
    if (match?.[1] !== undefined && path !== undefined) known.set(path, match[1]);
  }
  return { stamp, known };
}

/** Most names are as they are written. */
function readName(quoted: string): string | undefined {
  if (!quoted.includes('\\')) return quoted.slice(1, -1);
  try {
    return String(JSON.parse(quoted));
  } catch {
    return undefined;
  }
}

/** What time it is for the file system that files' times come from; undefined where nothing can be written. */
function touch(folder: string, file: string): number | undefined {
  try {
    mkdirSync(folder, { recursive: true });
    writeFileSync(file, '');
    const { mtimeMs } = statSync(file);
    rmSync(file);
    return mtimeMs;
  } catch {
    return undefined;
  }
}

function dropOld(folder: string): void {
  for (const name of readdirSync(folder)) {
    const file = join(folder, name);
    if (Date.now() - statSync(file).mtimeMs > lifetime) rmSync(file, { force: true });
  }
}
