// What the builds of this machine were when they were last done, kept in the state folder: of all of them in one file what lies under their
// keys, which every run looks at; and in a file for each what it was made of, so that a plan can say what has changed since. Nothing depends
// on them; where they are gone, a run asks the registry for more, and a plan says less.
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { appendFile, mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { type Digest, descriptorSchema } from '../image/oci.ts';
import { formatPlatform } from '../image/platform.ts';
import type { BuildTask } from '../plan/plan.ts';
import type { KeyParts } from './build-key.ts';
import type { StagedImage } from './keys.ts';

const texts = z.record(z.string(), z.string());
const notedSchema = z.object({
  key: z.string(),
  image: z.object({
    child: z.object({ descriptor: descriptorSchema, attestations: z.array(descriptorSchema) }),
    top: descriptorSchema,
  }),
});
const partsSchema = z.object({
  version: z.literal(1),
  key: z.string(),
  parts: z.object({
    dockerfile: z.string(),
    context: z.string(),
    files: texts.optional(),
    args: texts,
    target: z.string(),
    platform: z.string(),
    secrets: z.array(z.string()),
    upstreams: texts,
    externals: texts,
  }),
});

/** What was found, or put, under the key that a build last had. */
export interface Noted {
  key: Digest;
  image: StagedImage;
}

export interface KeptParts extends Noted {
  parts: KeyParts;
}

export interface PartsStore {
  read(task: BuildTask): Noted | undefined;
  /** What can't be kept isn't. */
  keep(task: BuildTask, kept: KeptParts): Promise<void>;
}

export interface PartsReader {
  /** What the build was made of that is noted last. */
  partsOf(task: BuildTask): KeyParts | undefined;
}

export function openParts(folder: string): PartsStore & PartsReader {
  const index = join(folder, 'last');
  let lines: Map<string, string> | undefined;
  /** What was last read or kept, by name: it is not read again, nor written where it is the same. */
  const known = new Map<string, Noted | undefined>();

  function read(task: BuildTask): Noted | undefined {
    const name = nameOf(task);
    if (!known.has(name)) {
      lines ??= readIndex(index);
      known.set(name, readNoted(lines.get(name)));
    }
    return known.get(name);
  }

  return {
    read,
    partsOf(task) {
      const found = readParts(join(folder, `${nameOf(task)}.json`));
      return found && found.key === read(task)?.key ? found.parts : undefined;
    },
    async keep(task, { key, parts, image: { child, top } }) {
      const noted: Noted = { key, image: { child, top } };
      const before = read(task);
      if (before && before.key === key && before.image.top.digest === top.digest) return;
      const name = nameOf(task);
      const file = join(folder, `${name}.json`);
      try {
        await mkdir(folder, { recursive: true });
        await writeFile(`${file}.new`, JSON.stringify({ version: 1, key, parts }));
        await rename(`${file}.new`, file);
        // Each begins a line: one that was torn spoils no other.
        await appendFile(index, `\n${name} ${JSON.stringify(noted)}`);
        known.set(name, noted);
      } catch {
        // The journal is what must be written; a full disk is found there.
      }
    },
  };
}

/** Without a blank, and fit for a file. */
function nameOf({ image, platform }: BuildTask): string {
  return `${encodeURIComponent(image)}-${formatPlatform(platform).replaceAll('/', '-')}`;
}

/** The last line of each build by its name. Runs only ever add lines: once most are out of date, the file is written anew. */
function readIndex(file: string): Map<string, string> {
  const found = new Map<string, string>();
  try {
    const lines = readFileSync(file, 'utf8').split('\n');
    for (const line of lines) {
      const at = line.indexOf(' ');
      if (at > 0) found.set(line.slice(0, at), line.slice(at + 1));
    }
    if (lines.length > 2 * found.size + mostSpare) {
      const fresh = `${file}.${process.pid}`;
      writeFileSync(fresh, [...found].map(([name, line]) => `\n${name} ${line}`).join(''));
      renameSync(fresh, file);
    }
  } catch {
    // There is none yet; or it stays as long as it is.
  }
  return found;
}

const mostSpare = 1000;

function readNoted(line: string | undefined): Noted | undefined {
  if (line === undefined) return undefined;
  try {
    return notedSchema.parse(JSON.parse(line));
  } catch {
    return undefined;
  }
}

function readParts(file: string): { key: Digest; parts: KeyParts } | undefined {
  try {
    const { key, parts } = partsSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
    const { files, ...rest } = parts;
    return { key, parts: files ? { ...rest, files } : rest };
  } catch {
    return undefined;
  }
}
