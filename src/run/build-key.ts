// The key of a build: a hash of everything it depends on, by which any run, on any machine, knows that a result is still the right one.
import { sha256 } from '../image/digest.ts';
import type { Digest } from '../image/oci.ts';
import { formatPlatform } from '../image/platform.ts';
import type { BuildTask } from '../plan/plan.ts';

/** What goes into a key, apart enough to say later what of it has changed. */
export interface KeyParts {
  /** As its author wrote it. */
  dockerfile: string;
  context: Digest;
  /** By path; undefined where the context has too many files to keep, or was hashed by somebody who doesn't tell. */
  files?: Record<string, string>;
  args: Record<string, string>;
  target: string;
  platform: string;
  /** Names; the values are nobody's business, and change with every rotation. */
  secrets: string[];
  /** Digest of what each upstream task made, by the task's id: those that the Dockerfile names, and those that `needs` does. */
  upstreams: Record<string, Digest>;
  /** By reference; the digest is empty where it couldn't be found out, and the engine decides. */
  externals: Record<string, Digest | ''>;
}

/** Changes when what a key is made of does: then every build is a new one. */
const version = 2;

/**
 * `pinned` is the Dockerfile's text with every reference replaced by a digest, upstreams under the name `registry`: it carries the digests,
 * and no address that differs from machine to machine. `needed`: of builds that the image needs without its Dockerfile saying what for.
 */
export function buildKey(
  task: Pick<BuildTask, 'args' | 'target' | 'platform' | 'secrets'>,
  pinned: string,
  context: Digest,
  { unpinned = [], needed = [] }: { unpinned?: string[]; needed?: Digest[] } = {},
): Digest {
  return sha256(
    JSON.stringify([
      version,
      pinned,
      context,
      Object.entries(task.args).sort(([a], [b]) => (a < b ? -1 : 1)),
      task.target ?? '',
      formatPlatform(task.platform),
      [...task.secrets].sort(),
      [...unpinned].sort(),
      [...needed].sort(),
    ]),
  );
}

/** Under which the result of a build lies in its image's repository. */
export function keyTag(key: Digest): string {
  return `splitbuild-key-${key.slice('sha256:'.length, 'sha256:'.length + 40)}`;
}
