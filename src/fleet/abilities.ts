// What machines were found to run by themselves, besides their own platform, kept in the state folder for a day: to try it takes a build.
import { readFileSync } from 'node:fs';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import type { Clock } from '../clock.ts';
import { formatPlatform, type Platform } from '../image/platform.ts';

export interface Abilities {
  /** `machine`: EngineInfo.identity. */
  known(machine: string, platform: Platform): boolean;
  /** What can't be kept isn't: it is tried again. */
  keep(machine: string, platform: Platform): Promise<void>;
}

/** When it was seen last, ms since 1970, by machine and platform. */
const notesSchema = z.record(z.string(), z.number());

const lifetime = 24 * 3600 * 1000;

export function openAbilities(file: string, clock: Clock): Abilities {
  let notes: Map<string, number> | undefined;
  let writing = Promise.resolve();
  const read = (): Map<string, number> => {
    notes ??= new Map(readNotes(file).filter(([, seen]) => isFresh(seen, clock)));
    return notes;
  };
  return {
    known: (machine, platform) => isFresh(read().get(nameOf(machine, platform)), clock),
    keep(machine, platform) {
      read().set(nameOf(machine, platform), clock.now());
      writing = writing.then(() => write(file, read()));
      return writing;
    },
  };
}

function nameOf(machine: string, platform: Platform): string {
  return `${machine} ${formatPlatform(platform)}`;
}

/** Not of a time to come either: the clock was wrong then, or is now. */
function isFresh(seen: number | undefined, clock: Clock): boolean {
  return seen !== undefined && seen <= clock.now() && clock.now() - seen < lifetime;
}

function readNotes(file: string): [string, number][] {
  try {
    return Object.entries(notesSchema.parse(JSON.parse(readFileSync(file, 'utf8'))));
  } catch {
    return [];
  }
}

async function write(file: string, notes: Map<string, number>): Promise<void> {
  const fresh = `${file}.${process.pid}`;
  try {
    await mkdir(dirname(file), { recursive: true });
    await writeFile(fresh, JSON.stringify(Object.fromEntries(notes)));
    await rename(fresh, file);
  } catch {
    // A full disk is found where it matters.
  }
}
