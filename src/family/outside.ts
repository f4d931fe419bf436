// Keeps a source from reaching files of this machine that are none of its own: what a link leads to goes to an engine as well, and into
// an image. The config's rules have refused `..` in what is written; here links are followed.
import { lstatSync, realpathSync } from 'node:fs';
import { basename, dirname, join, sep } from 'node:path';
import type { ImageConfig } from '../config/config.ts';
import type { Diagnostic } from '../failure.ts';
import { relativePath } from '../relative-path.ts';
import type { FetchedSource } from './source.ts';

/**
 * The refusal of an image whose context or Dockerfile lies elsewhere once links are followed: for a git source outside of its clone, or
 * in git's own files there; for a folder outside of the config's folder. What is not there is not refused here.
 */
export function leadsOut(
  image: ImageConfig,
  found: FetchedSource & { context: string; dockerfile: string },
  configFolder: string,
  real: RealPath,
): Diagnostic | undefined {
  const isGit = image.source.kind === 'git';
  const top = real(isGit ? found.top : configFolder);
  if (top === undefined) return undefined;
  for (const [what, path] of [
    ['source', found.folder],
    ['context', found.context],
    ['dockerfile', found.dockerfile],
  ] as const) {
    const target = real(path);
    if (target === undefined || (isInside(target, top) && !(isGit && isInside(target, join(top, '.git'))))) continue;
    const bounds = isGit ? 'its git repository' : 'the folder of the config';
    return {
      code: 'path-outside',
      severity: 'error',
      message: `image '${image.name}': its ${what} ${path} leads out of ${bounds}, to ${target}`,
      help: isGit
        ? 'the repository must hold the files themselves: links out of it are not followed'
        : 'put the files where the link is, or the config into a folder that holds them all',
    };
  }
  return undefined;
}

/** The path that links lead to in the end; undefined where nothing is there. */
export type RealPath = (path: string) => string | undefined;

/**
 * Remembers what it has found, so that of thousands of images below one folder the way to that is walked once. It blocks: that takes a
 * tenth of the time that thousands of calls take on their way to another thread.
 */
export function createRealPath(): RealPath {
  const known = new Map<string, string | undefined>();
  const find: RealPath = (path) => {
    try {
      const above = known.get(dirname(path));
      const isPlain = above !== undefined && lstatSync(path).isSymbolicLink() === false;
      return isPlain ? join(above, basename(path)) : realpathSync.native(path);
    } catch {
      return undefined;
    }
  };
  return (path) => {
    if (!known.has(path)) known.set(path, find(path));
    return known.get(path);
  };
}

function isInside(path: string, folder: string): boolean {
  const way = relativePath(folder, path);
  return way !== '..' && !way.startsWith(`..${sep}`);
}
