// One build: the Dockerfile pinned to what its upstreams made, built on a builder of its platform, pushed, and read back.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pinReferences } from '../dockerfile/pin.ts';
import type { Engine } from '../engine/engine.ts';
import { fail, ok, type Result } from '../failure.ts';
import type { Lease } from '../fleet/fleet.ts';
import type { Child } from '../image/join.ts';
import type { Digest } from '../image/oci.ts';
import { archSuffix } from '../image/platform.ts';
import { readPlatformImage } from '../image/read.ts';
import type { BuildTask } from '../plan/plan.ts';
import { buildKey, contextDigest, readIgnore } from './build-key.ts';
import type { RunContext } from './context.ts';

/** What a build left in the registry. */
export interface Built {
  child: Child;
  stagedTag: string;
  key: string;
  /** The engine that built it in this run, and its name for it. */
  local?: { engine: Engine; reference: string };
}

export interface PreparedBuild {
  task: BuildTask;
  key: string;
  /** The Dockerfile as a builder gets it that reaches the registry under this address. */
  dockerfileFor(registryAddress: string): string;
  ignore: string | undefined;
}

/** Reads what the build depends on, upstreams' digests included. */
export async function prepareBuild(
  task: BuildTask,
  upstream: (task: string) => { repository: string; digest: Digest },
): Promise<Result<PreparedBuild>> {
  try {
    const text = await readFile(task.dockerfile, 'utf8');
    const dockerfileFor = (registryAddress: string): string =>
      pinReferences(
        text,
        task.upstreams.map((pin) => {
          const made = upstream(pin.task);
          return { range: pin.range, value: `${registryAddress}/${made.repository}@${made.digest}` };
        }),
      );
    const ignore = await readIgnore(task.dockerfile, task.context);
    const key = buildKey(task, dockerfileFor('registry'), await contextDigest(task.context, ignore));
    return ok({ task, key, dockerfileFor, ignore });
  } catch (error) {
    return fail({
      kind: 'system',
      message: `the context of '${task.image}' can't be read: ${error instanceof Error ? error.message : String(error)}`,
      where: task.context,
    });
  }
}

/** Builds, pushes under a name of the run's own, and reads back from the registry what was pushed. */
export async function runBuild(
  prepared: PreparedBuild,
  lease: Lease,
  run: RunContext,
  signal: AbortSignal,
): Promise<Result<Built>> {
  const { task } = prepared;
  const { builder } = lease;
  const secrets: Record<string, string> = {};
  for (const name of task.secrets) {
    const value = secretValue(name, run.env);
    if (value === undefined) {
      return fail({
        kind: 'usage',
        message: `secret '${name}' of image '${task.image}' has no value`,
        help: `set the environment variable ${name}`,
      });
    }
    secrets[name] = value;
  }
  const stagedTag = stagedTagOf(task, run.id);
  const name = `${builder.registryAddress}/${task.repository}:${stagedTag}`;
  const onLine = (line: string): void => run.emit({ type: 'task-output', task: task.id, line, time: run.now() });
  const folder = await mkdtemp(join(tmpdir(), 'splitbuild-'));
  try {
    const dockerfile = join(folder, 'Dockerfile');
    await writeFile(dockerfile, prepared.dockerfileFor(builder.registryAddress));
    if (prepared.ignore !== undefined) await writeFile(`${dockerfile}.dockerignore`, prepared.ignore);
    const built = await builder.engine.build(
      {
        context: task.context,
        dockerfile,
        platform: task.platform,
        ...(task.target ? { target: task.target } : {}),
        args: task.args,
        secrets,
        reference: name,
        plainHttp: run.plainHttp,
      },
      onLine,
      signal,
    );
    if (!built.ok) return built;
    const pushed = await builder.engine.push(name, { plainHttp: run.plainHttp }, onLine, signal);
    if (!pushed.ok) return pushed;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  const child = await readPlatformImage(
    run.registry,
    { registry: run.registryAddress, repository: task.repository, tag: stagedTag },
    task.platform,
    signal,
  );
  if (!child.ok) return child;
  return ok({
    child: child.value,
    stagedTag,
    key: prepared.key,
    local: { engine: builder.engine, reference: name },
  });
}

/** Tag under which a run keeps the image of a platform until it is published. */
export function stagedTagOf({ platform }: Pick<BuildTask, 'platform'>, run: string): string {
  return `${run}-${archSuffix(platform)}`;
}

/** A secret comes from the environment variable of its name, as written or in upper case. */
export function secretValue(name: string, env: RunContext['env']): string | undefined {
  return env[name] ?? env[name.toUpperCase()];
}
