// What the `checkout` step gives a job: the working tree as it is now, without what git ignores, and what git says of it.
import { cp, lstat, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { execa } from 'execa';

export interface Repository {
  /** Of the working tree, or the folder itself where git has none. */
  folder: string;
  isGit: boolean;
  branch?: string;
  commit?: string;
  origin?: string;
}

async function git(cwd: string, ...args: string[]): Promise<string | undefined> {
  const done = await execa('git', args, { cwd, reject: false, stdin: 'ignore' });
  return done.failed ? undefined : done.stdout.trimEnd();
}

/** `folder` is the top of the checkout if it is given by the user; else git's top of the folder that the file lies in. */
export async function readRepository(folder: string, exact: boolean): Promise<Repository> {
  const top = await git(folder, 'rev-parse', '--show-toplevel');
  const chosen = resolve(exact || top === undefined ? folder : top);
  const [branch, commit, origin] = await Promise.all([
    git(chosen, 'branch', '--show-current'),
    git(chosen, 'rev-parse', 'HEAD'),
    git(chosen, 'remote', 'get-url', 'origin'),
  ]);
  return {
    folder: chosen,
    isGit: top !== undefined,
    ...(branch ? { branch } : {}),
    ...(commit ? { commit } : {}),
    ...(origin ? { origin } : {}),
  };
}

/** Copies it into a folder, which must be empty or absent, as at CircleCI; gives why it could not. */
export async function checkOut(repository: Repository, to: string): Promise<string | undefined> {
  await mkdir(to, { recursive: true });
  const there = await readdir(to);
  // CircleCI fetches what it has checked out already, which changes nothing here.
  if (there.includes('.git')) return undefined;
  if (there.length > 0) return `there is something at ${to} already, and it is no git repository`;
  const { folder, isGit, commit, origin } = repository;
  const listed = isGit
    ? await git(folder, 'ls-files', '-z', '--cached', '--others', '--exclude-standard', '.')
    : undefined;
  const names = listed === undefined ? await readdir(folder) : [...new Set(listed.split('\0').filter(Boolean))];
  for (const name of names) {
    // Deleted, and not yet so in the index.
    if ((await lstat(join(folder, name)).catch(() => undefined)) === undefined) continue;
    await mkdir(dirname(join(to, name)), { recursive: true });
    await cp(join(folder, name), join(to, name), { recursive: true, verbatimSymlinks: true, preserveTimestamps: true });
  }
  const isTop = isGit && (await git(folder, 'rev-parse', '--show-cdup')) === '';
  if (isTop && commit !== undefined) await addHistory(folder, to, origin);
  return undefined;
}

/** A repository of its own, for steps that ask git: what they do to it can't reach the user's. */
async function addHistory(folder: string, to: string, origin: string | undefined): Promise<void> {
  const clone = join(to, '.splitbuild-clone');
  if ((await git(folder, 'clone', '--quiet', '--no-checkout', folder, clone)) === undefined) return;
  await rename(join(clone, '.git'), join(to, '.git'));
  await rm(clone, { recursive: true, force: true });
  await git(to, 'reset', '--quiet');
  if (origin !== undefined) await git(to, 'remote', 'set-url', 'origin', origin);
}
