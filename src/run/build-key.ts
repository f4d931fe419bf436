// The key of a build: a hash of everything it depends on, by which a later run knows that a result is still the right one.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { lstat, readdir, readFile, readlink } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { pipeline } from 'node:stream/promises';
import dockerignore from '@balena/dockerignore';
import { sha256 } from '../image/digest.ts';
import type { Digest } from '../image/oci.ts';
import { formatPlatform } from '../image/platform.ts';
import type { BuildTask } from '../plan/plan.ts';

/** The ignore rules that BuildKit would use: `<Dockerfile>.dockerignore` before the context's own. */
export async function readIgnore(dockerfile: string, context: string): Promise<string | undefined> {
  for (const file of [`${dockerfile}.dockerignore`, join(context, '.dockerignore')]) {
    const text = await readFile(file, 'utf8').catch(() => undefined);
    if (text !== undefined) return text;
  }
  return undefined;
}

/** Hash of the files that the engine would be sent: paths, modes, links and contents. */
export async function contextDigest(context: string, ignore: string | undefined): Promise<Digest> {
  const matcher = dockerignore.default({ ignorecase: false }).add((ignore ?? '').split('\n'));
  const hash = createHash('sha256');
  const walk = async (folder: string): Promise<void> => {
    for (const name of (await readdir(folder)).sort()) {
      const path = join(folder, name);
      const inside = relative(context, path);
      const stat = await lstat(path);
      if (stat.isDirectory()) {
        await walk(path);
        continue;
      }
      if (matcher.ignores(inside)) continue;
      hash.update(`${inside}\0${stat.mode}\0`);
      if (stat.isSymbolicLink()) hash.update(await readlink(path));
      else if (stat.isFile()) {
        const content = createHash('sha256');
        await pipeline(createReadStream(path), content);
        hash.update(content.digest());
      }
    }
  };
  await walk(context);
  return `sha256:${hash.digest('hex')}`;
}

/** `dockerfile` is its text with references pinned to the registry's own names, so it carries the upstreams' digests. */
export function buildKey(task: BuildTask, dockerfile: string, context: Digest): string {
  return sha256(
    JSON.stringify([
      1,
      dockerfile,
      context,
      Object.entries(task.args).sort(),
      task.target ?? '',
      formatPlatform(task.platform),
      task.secrets,
    ]),
  );
}
