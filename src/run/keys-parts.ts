// What the builds of this machine were made of when they were last done: kept in the state folder, one file an image and platform, so that
// a plan can say what has changed since. Nothing depends on them; where they are gone, a plan says less.
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
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
  read(task: BuildTask): Promise<KeptParts | undefined>;
  /** What can't be kept isn't. */
  keep(task: BuildTask, kept: KeptParts): Promise<void>;
}

export function openParts(folder: string): PartsStore {
  const fileOf = ({ image, platform }: BuildTask): string =>
    join(folder, `${encodeURIComponent(image)}-${formatPlatform(platform).replaceAll('/', '-')}.json`);

  async function read(task: BuildTask): Promise<KeptParts | undefined> {
    try {
      const { key, parts, image } = keptSchema.parse(JSON.parse(await readFile(fileOf(task), 'utf8')));
      const { files, ...rest } = parts;
      return { key, image, parts: files ? { ...rest, files } : rest };
    } catch {
      return undefined;
    }
  }

  return {
    read,
    async keep(task, { key, parts, image: { child, top } }) {
      const before = await read(task);
      if (before?.key === key && before.image.top.digest === top.digest) return;
      const file = fileOf(task);
      try {
        await mkdir(folder, { recursive: true });
        await writeFile(`${file}.new`, JSON.stringify({ version: 1, key, parts, image: { child, top } }));
        await rename(`${file}.new`, file);
      } catch {
        // The journal is what must be written; a full disk is found there.
      }
    },
  };
}
