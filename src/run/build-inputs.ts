// What a build depends on besides its upstreams: its Dockerfile, the ignore rules, the context that an engine would be sent, and what other
// people's images are at the moment.
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../clock.ts';
import { type HashedContext, hashContext } from '../context/hash-context.ts';
import { fail, ok, type Result } from '../failure.ts';
import type { Digest } from '../image/oci.ts';
import type { BuildTask } from '../plan/plan.ts';
import type { RegistryClient } from '../registry/client.ts';
import { type Agreement, agreeOn } from './agreed-externals.ts';
import { type External, resolveExternals } from './keys-externals.ts';

export interface BuildInputs {
  /** Text, not yet pinned. */
  dockerfile: string;
  /** Text of the ignore rules; undefined where there are none. */
  ignore: string | undefined;
  /** Of all files that an engine would be sent. */
  context: Digest;
  /** By path, what makes each entry of the context what it is. */
  files?: ReadonlyMap<string, string>;
  /** By reference. One that isn't there stays as it is written. */
  externals?: ReadonlyMap<string, External>;
}

/** `fresh`: the context is looked at anew, and not taken from an earlier look of the same run. */
export type ReadInputs = (task: BuildTask, fresh?: boolean) => Promise<Result<BuildInputs>>;

export interface InputReaderOptions {
  /** Of the run: their bases are asked for together. */
  tasks: readonly BuildTask[];
  /** Where hashes of files are kept between runs; undefined to read all. */
  cache: string | undefined;
  /** Reaches any registry. */
  registry: Pick<RegistryClient, 'headManifest'>;
  clock: Clock;
  signal: AbortSignal;
  /** Of a run that others on other machines build for. */
  agreement?: Agreement;
}

/**
 * A Dockerfile and its ignore rules are read once a run, as the plan's places in it are those of that text. A context is looked at once for
 * all platforms and images that share it.
 */
export function createInputReader(options: InputReaderOptions): ReadInputs {
  const { tasks, cache, registry, clock, signal, agreement } = options;
  let resolved: Promise<ReadonlyMap<string, External>> | undefined;
  /** By repository. */
  const agreed = new Map<string, Promise<Result<ReadonlyMap<string, External>>>>();
  const texts = new Map<string, string | undefined>();
  const contexts = new Map<string, Promise<HashedContext>>();

  function textOf(file: string): string | undefined {
    if (!texts.has(file)) texts.set(file, readOptional(file));
    return texts.get(file);
  }

  /** `<Dockerfile>.dockerignore` before the context's own, as BuildKit has it. */
  function ignoreOf({ dockerfile, context, commit }: BuildTask): string | undefined {
    const written = textOf(`${dockerfile}.dockerignore`) ?? textOf(join(context, '.dockerignore'));
    // As `docker build` of a git URL: the clone's own folder changes with every fetch.
    return commit === undefined ? written : `.git\n${written ?? ''}`;
  }

  function contextOf(context: string, ignore: string | undefined, fresh: boolean): Promise<HashedContext> {
    const name = `${context}\0${ignore ?? ''}`;
    const known = fresh ? undefined : contexts.get(name);
    const hashed = known ?? hashContext(context, ignore, cache);
    contexts.set(name, hashed);
    return hashed;
  }

  function externalsOf({ repository }: BuildTask): Promise<Result<ReadonlyMap<string, External>>> {
    resolved ??= resolveExternals(tasks, registry, clock, signal);
    const found = agreed.get(repository) ?? resolved.then((all) => agree(repository, all));
    agreed.set(repository, found);
    return found;
  }

  async function agree(
    repository: string,
    all: ReadonlyMap<string, External>,
  ): Promise<Result<ReadonlyMap<string, External>>> {
    if (!agreement) return ok(all);
    const own = tasks.flatMap((task) => (task.repository === repository ? (task.externals ?? []) : []));
    const wanted = new Map(
      own.flatMap(({ reference }): [string, External][] => {
        const external = all.get(reference);
        return external ? [[reference, external]] : [];
      }),
    );
    return agreeOn(wanted, repository, agreement, clock, signal);
  }

  return async (task, fresh = false) => {
    const bases = externalsOf(task);
    try {
      const dockerfile = textOf(task.dockerfile);
      if (dockerfile === undefined) throw new Error(`there is no ${task.dockerfile}`);
      const ignore = ignoreOf(task);
      const { digest, entries } = await contextOf(task.context, ignore, fresh);
      const externals = await bases;
      if (!externals.ok) return externals;
      return ok({ dockerfile, ignore, context: digest, files: entries, externals: externals.value });
    } catch (error) {
      return fail({
        kind: 'system',
        message: `the context of '${task.image}' can't be read: ${error instanceof Error ? error.message : String(error)}`,
        where: task.context,
      });
    }
  };
}

/** Most images have no ignore rules, and an error for each, with its stack, takes longer than all the reading. */
function readOptional(file: string): string | undefined {
  return statSync(file, { throwIfNoEntry: false })?.isFile() ? readFileSync(file, 'utf8') : undefined;
}
