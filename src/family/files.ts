// An image's files: its source fetched, its Dockerfile read. Several sources at a time, as each waits for networks.
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { ImageConfig } from '../config/config.ts';
import { type Diagnostic, ok, type Result } from '../failure.ts';
import { createRealPath, leadsOut, type RealPath } from './outside.ts';
import type { createSourceFetcher } from './source.ts';

export interface ImageFiles {
  /** Absolute. */
  context: string;
  dockerfile: string;
  /** Of the Dockerfile, or why it can't be had. */
  text: { ok: true; value: string } | { ok: false; problem: Diagnostic };
  /** Of a git source. */
  commit?: string;
}

/** So many at a time: an ssh server that is asked for more at once turns some away (sshd's MaxStartups is 10). */
const atOnce = 8;

/** In the order of the images. The first source that can't be had fails all; those that were begun with it are awaited. */
export async function readFiles(
  images: ImageConfig[],
  fetchSource: ReturnType<typeof createSourceFetcher>,
  configFolder: string,
): Promise<Result<ImageFiles[]>> {
  const real = createRealPath();
  const files: ImageFiles[] = [];
  for (let from = 0; from < images.length; from += atOnce) {
    const some = images.slice(from, from + atOnce);
    for (const read of await Promise.all(some.map((image) => readOne(image, fetchSource, configFolder, real)))) {
      if (!read.ok) return read;
      files.push(read.value);
    }
  }
  return ok(files);
}

async function readOne(
  image: ImageConfig,
  fetchSource: ReturnType<typeof createSourceFetcher>,
  configFolder: string,
  real: RealPath,
): Promise<Result<ImageFiles>> {
  const source = await fetchSource(image.source);
  if (!source.ok) return source;
  const { folder, commit } = source.value;
  const context = resolve(folder, image.context);
  const dockerfile = resolve(folder, image.dockerfile);
  const outside = leadsOut(image, { ...source.value, context, dockerfile }, configFolder, real);
  const text = outside ? { ok: false as const, problem: outside } : readDockerfile(image, dockerfile);
  return ok({ context, dockerfile, text, ...(commit ? { commit } : {}) });
}

/** Small files, and many: for these a blocking read is the quicker one. */
function readDockerfile({ name }: ImageConfig, dockerfile: string): ImageFiles['text'] {
  try {
    return { ok: true, value: readFileSync(dockerfile, 'utf8') };
  } catch {
    const problem: Diagnostic = {
      code: 'no-dockerfile',
      severity: 'error',
      message: `image '${name}': there is no Dockerfile at ${dockerfile}`,
      help: "set 'source' to the image's folder, or 'dockerfile' to the file's path in it",
    };
    return { ok: false, problem };
  }
}
