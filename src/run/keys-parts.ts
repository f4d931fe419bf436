// What the builds of this machine were made of when they were last done: kept in the state folder, one file an image and platform, so that
// a plan can say what has changed since. Nothing depends on them; where they are gone, a plan says less.
import { readFileSync } from 'node:fs';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { type Digest, descriptorSchema } from '../image/oci.ts';
import { formatPlatform } from '../image/platform.ts';
import type { BuildTask } from '../plan/plan.ts';
import type { KeyParts } from './build-key.ts';
import type { StagedImage } from './keys.ts';

const texts = z.record(z.string(), z.string());
const keptSchema = z.object({
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
  image: z.object({
    child: z.object({ descriptor: descriptorSchema, attestations: z.array(descriptorSchema) }),
    top: descriptorSchema,
  }),
});

export interface KeptParts {
  key: Digest;
  parts: KeyParts;
  /** What was found, or put, under the key. */
  image: StagedImage;
}

export interface PartsStore {
  read(task: BuildTask): KeptParts | undefined;
  /** What can't be kept isn't. */
  keep(task: BuildTask, kept: KeptParts): Promise<void>;
}

export function openParts(folder: string): PartsStore {
  const fileOf = ({ image, platform }: BuildTask): string =>
    join(folder, `${encodeURIComponent(image)}-${formatPlatform(platform).replaceAll('/', '-')}.json`);

  /** What was last read or kept, by file: it is not read again, nor written where it is the same. */
  const known = new Map<string, KeptParts | undefined>();
  const nameOf = ({ key, image }: KeptParts): string => `${key} ${image.top.digest}`;

  function read(task: BuildTask): KeptParts | undefined {
    const file = fileOf(task);
    if (!known.has(file)) known.set(file, readKept(file));
    return known.get(file);
  }

  return {
    read,
    async keep(task, { key, parts, image: { child, top } }) {
      const file = fileOf(task);
      const kept: KeptParts = { key, parts, image: { child, top } };
      const before = read(task);
      if (before && nameOf(before) === nameOf(kept)) return;
      try {
        await mkdir(folder, { recursive: true });
        await writeFile(`${file}.new`, JSON.stringify({ version: 1, ...kept }));
        await rename(`${file}.new`, file);
        known.set(file, kept);
      } catch {
        // The journal is what must be written; a full disk is found there.
      }
    },
  };
}

function readKept(file: string): KeptParts | undefined {
  try {
    // Small files, and many: for these a blocking read is the quicker one.
    const { key, parts, image } = keptSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
    const { files, ...rest } = parts;
    return { key, image, parts: files ? { ...rest, files } : rest };
  } catch {
    return undefined;
  }
}
