// The workspace of a workflow: each persist adds a layer, each attach puts those of all required jobs together.
// https://circleci.com/docs/workspaces/
import { constants } from 'node:fs';
import { cp, mkdir, readdir, stat } from 'node:fs/promises';
import { isAbsolute, join, normalize } from 'node:path';

interface Layer {
  job: string;
  folder: string;
}

export interface Workspace {
  /** Why it failed; undefined if it did not. `patterns` are Go's filepath.Match, from `root`. */
  persist(job: string, root: string, patterns: string[]): Promise<string | undefined>;
  /** Copies what the jobs that `job` requires, directly or not, have persisted. */
  attach(job: string, folder: string): Promise<string | undefined>;
}

/** `required` gives all jobs that a job requires, directly or not. */
export function createWorkspace(folder: string, required: (job: string) => ReadonlySet<string>): Workspace {
  const layers: Layer[] = [];
  return {
    async persist(job, root, patterns) {
      const layer = { job, folder: join(folder, String(layers.length + 1)) };
      layers.push(layer);
      await mkdir(layer.folder, { recursive: true });
      const found = new Set<string>();
      for (const pattern of patterns) {
        if (isAbsolute(pattern) || normalize(pattern).startsWith('..'))
          return `'${pattern}' does not lie below ${root}`;
        for (const path of await glob(root, pattern)) found.add(path);
      }
      if (found.size === 0) return `the paths match no files in ${root}: ${patterns.join(', ')}`;
      for (const path of found) await copy(join(root, path), join(layer.folder, path));
      return undefined;
    },
    async attach(job, at) {
      const wanted = layers.filter((layer) => required(job).has(layer.job));
      const owners = new Map<string, string>();
      for (const layer of wanted) {
        for (const path of await filesIn(layer.folder)) {
          const before = owners.get(path);
          // Which of two layers is the later one is only clear where one job required the other.
          if (before !== undefined && before !== layer.job && !required(layer.job).has(before)) {
            return `jobs that do not wait for each other persisted the same file: '${path}' of ${before} and ${layer.job}`;
          }
          owners.set(path, layer.job);
        }
      }
      await mkdir(at, { recursive: true });
      for (const layer of wanted) await copy(layer.folder, at);
      return undefined;
    },
  };
}

/** Shares the blocks of the files where the file system can. */
function copy(from: string, to: string): Promise<void> {
  return cp(from, to, {
    recursive: true,
    verbatimSymlinks: true,
    preserveTimestamps: true,
    mode: constants.COPYFILE_FICLONE,
  });
}

async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1));
}

/** Paths below a folder that match a pattern; what is no pattern is a path. */
export async function glob(root: string, pattern: string): Promise<string[]> {
  let found = ['.'];
  for (const part of normalize(pattern).split('/').filter(Boolean)) {
    const next = await Promise.all(found.map((path) => step(root, path, part)));
    found = next.flat();
  }
  return found;
}

async function step(root: string, path: string, part: string): Promise<string[]> {
  if (!/[*?[\\]/.test(part)) {
    const there = await stat(join(root, path, part)).then(
      () => true,
      () => false,
    );
    return there ? [join(path, part)] : [];
  }
  const names = await readdir(join(root, path)).catch(() => []);
  const expression = new RegExp(`^${toExpression(part)}$`, 's');
  return names.filter((name) => expression.test(name)).map((name) => join(path, name));
}

/** https://pkg.go.dev/path/filepath#Match, for one part of a path. */
function toExpression(part: string): string {
  return part.replace(
    /\\(.)|\[(\^?)((?:\\.|[^\]\\])+)\]|([*?])|([.+^${}()|[\]\\/])/g,
    (_all, escaped, not, set, wild, plain) => {
      if (escaped !== undefined) return `\\${escaped}`.replace(/\\(\w)/, '$1');
      if (set !== undefined) return `[${not}${set.replaceAll('[', '\\[')}]`;
      if (wild !== undefined) return wild === '*' ? '[^/]*' : '[^/]';
      return `\\${plain}`;
    },
  );
}
