// What docker and buildah are told of a build in the same words; each adds its own before it, and its way to hand over secrets after it.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { formatPlatform } from '../image/platform.ts';
import type { BuildRequest } from './engine.ts';

/** Writes a request's Dockerfile and its ignore rules where a client can read them; they are gone when `use` is done. */
export async function withDockerfile<T>(
  { dockerfile, ignore }: Pick<BuildRequest, 'dockerfile' | 'ignore'>,
  use: (file: string) => Promise<T>,
): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'splitbuild-'));
  try {
    const file = join(folder, 'Dockerfile');
    await writeFile(file, dockerfile);
    if (ignore !== undefined) await writeFile(ignoreFile(file), ignore);
    return await use(file);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Where BuildKit looks for the ignore rules of one Dockerfile before the context's own. */
export function ignoreFile(dockerfile: string): string {
  return `${dockerfile}.dockerignore`;
}

export function commonBuildFlags(request: BuildRequest, dockerfile: string): string[] {
  return [
    '--platform',
    formatPlatform(request.platform),
    '--file',
    dockerfile,
    ...(request.reference ? ['--tag', request.reference] : ['--output', 'type=tar,dest=/dev/null']),
    ...(request.target ? ['--target', request.target] : []),
    ...(request.noCache ? ['--no-cache'] : []),
    ...Object.entries(request.args).flatMap(([name, value]) => ['--build-arg', `${name}=${value}`]),
    ...Object.entries(request.labels ?? {}).flatMap(([name, value]) => ['--label', `${name}=${value}`]),
  ];
}
