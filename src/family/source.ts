// Where an image's files come from: a folder, or a git repository at a ref that is resolved to one commit once a run.

import { createHash } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fail, ok, type Result } from '../failure.ts';
import { createMask, urlCredentials } from '../secret.ts';

export type Source = { kind: 'folder'; path: string } | { kind: 'git'; url: string; ref?: string; subdir?: string };

export interface FetchedSource {
  /** Absolute folder on the coordinator. */
  folder: string;
  /** The folder that nothing of it may lead out of: the clone's of a git source, or the source's own. */
  top: string;
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
    if (source.kind === 'folder') return ok({ folder: source.path, top: source.path });
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

/** What git may fetch by; not `ext::`, which runs any command. For a submodule, which others name, not this machine's files either. */
const transports = ['http', 'https', 'ssh', 'git'];
const ownTransports = [...transports, 'file'];

async function cloneAt(
  url: string,
  ref: string,
  cacheFolder: string,
  signal: AbortSignal,
): Promise<Result<FetchedSource>> {
  const mask = createMask(urlCredentials(url));
  const refused = refusal(url, ref);
  if (refused) {
    const help = 'write a URL and a ref, as https://github.com/acme/base.git#main';
    return fail({ kind: 'source', transient: false, message: mask(`git source '${url}#${ref}' ${refused}`), help });
  }
  const folder = join(cacheFolder, createHash('sha256').update(`${url}#${ref}`).digest('hex').slice(0, 16));
  const { execa } = await import('execa');
  const git = (args: string[], allowed = ownTransports) =>
    execa('git', args, {
      cwd: folder,
      reject: false,
      cancelSignal: signal,
      stdin: 'ignore',
      extendEnv: false,
      env: gitEnv(process.env, cacheFolder, allowed),
    });
  await mkdir(folder, { recursive: true });
  const fetch = [
    'fetch',
    '--quiet',
    '--no-tags',
    '--no-recurse-submodules',
    '--depth',
    '1',
    '--end-of-options',
    url,
    ref,
  ];
  const submodules = ['submodule', 'update', '--quiet', '--init', '--recursive', '--depth', '1'];
  const steps = [
    { args: ['init', '--quiet'] },
    { args: fetch },
    // Submodules that a former fetch of a moving ref has left are cleaned away with everything else.
    { args: ['checkout', '--quiet', '--force', '--no-recurse-submodules', '--detach', 'FETCH_HEAD'] },
    { args: ['clean', '-ffdxq'] },
    // As docker build does with a git URL, and the jobs of a pipeline.
    { args: submodules, allowed: transports },
  ];
  for (const { args, allowed } of steps) {
    const done = await git(args, allowed);
    if (done.isCanceled) return fail({ kind: 'cancelled' });
    if (done.failed) {
      const said = done.stderr.trim() || done.shortMessage;
      const what = args === submodules ? `the submodules of ${url} at '${ref}'` : `'${ref}' of ${url}`;
      return fail({
        kind: 'source',
        transient: args === fetch,
        message: mask(`git could not fetch ${what}: ${said}`),
        tried: [mask(`git ${args.join(' ')}`)],
        help: 'check the URL, the ref and your access to it (git ls-remote)',
      });
    }
  }
  const head = await git(['rev-parse', 'HEAD']);
  return ok({ folder, top: folder, commit: head.stdout.trim() });
}

/** Why git must not be given these: it would take them for an option, for a command, or for more than one ref. */
function refusal(url: string, ref: string): string | undefined {
  if (url.startsWith('-') || ref.startsWith('-')) return "begins with '-'";
  if (/^(?:[A-Za-z][\w+.-]*:\/\/)?(?:[^/@]*@)?-/.test(url)) return "names a host that begins with '-'";
  if (/^[A-Za-z][\w+.-]*::/.test(url)) return 'names a program to fetch it with';
  // git-check-ref-format(1); a `+` before it or a `:` in it makes it a refspec.
  if (ref === '' || /^\+|[\p{Cc} ~^:?*[\\]|\.\.|@\{/u.test(ref)) return 'is not at a branch, a tag or a commit';
  return undefined;
}

/** Of the user's environment, without what says which repository is meant: in a hook, that is the user's own. */
const repositoryNames = [
  ...['GIT_DIR', 'GIT_WORK_TREE', 'GIT_COMMON_DIR', 'GIT_INDEX_FILE', 'GIT_OBJECT_DIRECTORY', 'GIT_PREFIX'],
  ...['GIT_ALTERNATE_OBJECT_DIRECTORIES', 'GIT_NAMESPACE', 'GIT_SHALLOW_FILE', 'GIT_IMPLICIT_WORK_TREE'],
];

function gitEnv(env: NodeJS.ProcessEnv, cacheFolder: string, allowed: string[]): NodeJS.ProcessEnv {
  const given = env.GIT_ALLOW_PROTOCOL?.split(':');
  return {
    ...Object.fromEntries(Object.entries(env).filter(([name]) => !repositoryNames.includes(name))),
    GIT_TERMINAL_PROMPT: '0',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CEILING_DIRECTORIES: cacheFolder,
    GIT_ALLOW_PROTOCOL: allowed.filter((one) => given?.includes(one) ?? true).join(':'),
  };
}
