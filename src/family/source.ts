// Where an image's files come from: a folder, or a git repository at a ref that is resolved to one commit once a run.

import { createHash } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { fail, ok, type Result } from '../failure.ts';

export type Source = { kind: 'folder'; path: string } | { kind: 'git'; url: string; ref?: string; subdir?: string };

export interface FetchedSource {
  /** Absolute folder on the coordinator. */
  folder: string;
  /** Full commit id of a git source. */
  commit?: string;
}

/** Fetches sources, each distinct one once: every platform of a run builds the same commit. */
export function createSourceFetcher(
  cacheFolder: string,
  signal: AbortSignal,
): (source: Source) => Promise<Result<FetchedSource>> {
  const clones = new Map<string, Promise<Result<FetchedSource>>>();
  return async (source) => {
    if (source.kind === 'folder') return ok({ folder: source.path });
    const key = `${source.url}#${source.ref ?? ''}`;
    let clone = clones.get(key);
    if (!clone) {
      clone = cloneAt(source.url, source.ref ?? 'HEAD', cacheFolder, signal);
      clones.set(key, clone);
    }
    const fetched = await clone;
    if (!fetched.ok || !source.subdir) return fetched;
    return ok({ ...fetched.value, folder: join(fetched.value.folder, source.subdir) });
  };
}

async function cloneAt(
  url: string,
  ref: string,
  cacheFolder: string,
  signal: AbortSignal,
): Promise<Result<FetchedSource>> {
  if (url.startsWith('-') || ref.startsWith('-')) {
    return fail({
      kind: 'source',
      transient: false,
      message: `git source '${url}#${ref}' begins with '-'`,
      help: 'write a URL and a ref',
    });
  }
  const folder = join(cacheFolder, createHash('sha256').update(`${url}#${ref}`).digest('hex').slice(0, 16));
  const git = (...args: string[]) =>
    execa('git', args, {
      cwd: folder,
      reject: false,
      cancelSignal: signal,
      stdin: 'ignore',
      env: { GIT_TERMINAL_PROMPT: '0', GIT_CONFIG_NOSYSTEM: '1' },
    });
  await mkdir(folder, { recursive: true });
  const steps = [
    ['init', '--quiet'],
    ['fetch', '--quiet', '--no-tags', '--depth', '1', '--end-of-options', url, ref],
    ['checkout', '--quiet', '--force', '--detach', 'FETCH_HEAD'],
    ['clean', '-ffdxq'],
    ['submodule', 'update', '--quiet', '--init', '--recursive', '--depth', '1'],
  ];
  for (const step of steps) {
    const done = await git(...step);
    if (done.isCanceled) return fail({ kind: 'cancelled' });
    if (done.failed) {
      return fail({
        kind: 'source',
        transient: step[0] === 'fetch',
        message: `git could not fetch '${ref}' of ${url}: ${done.stderr.trim() || done.shortMessage}`,
        tried: [`git ${step.join(' ')}`],
        help: 'check the URL, the ref and your access to it (git ls-remote)',
      });
    }
  }
  const head = await git('rev-parse', 'HEAD');
  return ok({ folder, commit: head.stdout.trim() });
}
