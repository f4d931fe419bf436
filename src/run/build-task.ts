// One build: the Dockerfile pinned to what its upstreams made, built on a builder of its platform, pushed, and read back.
import { type Clock, within } from '../clock.ts';
import { pinReferences } from '../dockerfile/pin.ts';
import type { Engine } from '../engine/engine.ts';
import { fail, ok, type Result } from '../failure.ts';
import type { Lease } from '../fleet/fleet.ts';
import { lostBuilder } from '../fleet/health.ts';
import { secretsIn } from '../image/history.ts';
import type { Child } from '../image/join.ts';
import type { Digest } from '../image/oci.ts';
import { archSuffix } from '../image/platform.ts';
import { readPlatformImage } from '../image/read.ts';
import type { BuildTask } from '../plan/plan.ts';
import type { BuildInputs } from './build-inputs.ts';
import { buildKey } from './build-key.ts';
import type { RunContext } from './context.ts';

/** What a build left in the registry. */
export interface Built {
  child: Child;
  stagedTag: string;
  key: string;
  /** The engine that built it in this run, its name for it, and the builder's. */
  local?: { engine: Engine; reference: string; builder: string };
}

export interface PreparedBuild {
  task: BuildTask;
  key: string;
  /** The Dockerfile as a builder gets it that reaches the registry under this address. */
  dockerfileFor(registryAddress: string): string;
  ignore: string | undefined;
}

/** With what the upstreams made, the inputs become a Dockerfile that names them by digest, and a key. */
export function prepareBuild(
  task: BuildTask,
  { dockerfile: text, ignore, context }: BuildInputs,
  upstream: (task: string) => { repository: string; digest: Digest },
): PreparedBuild {
  const dockerfileFor = (registryAddress: string): string =>
    pinReferences(
      text,
      task.upstreams.map((pin) => {
        const made = upstream(pin.task);
        return { range: pin.range, value: `${registryAddress}/${made.repository}@${made.digest}` };
      }),
    );
  return { task, key: buildKey(task, dockerfileFor('registry'), context), dockerfileFor, ignore };
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
  const secrets = secretsOf(task, run.env);
  if (!secrets.ok) return secrets;
  const stagedTag = stagedTagOf(task, run.id);
  const name = `${builder.registryAddress}/${task.repository}:${stagedTag}`;
  const onLine = (line: string): void => run.emit({ type: 'task-output', task: task.id, line, time: run.clock.now() });
  const made = await onBuilder(lease, run.clock, signal, async (both) => {
    const built = await builder.engine.build(
      {
        context: task.context,
        dockerfile: prepared.dockerfileFor(builder.registryAddress),
        ...(prepared.ignore === undefined ? {} : { ignore: prepared.ignore }),
        platform: task.platform,
        ...(task.target ? { target: task.target } : {}),
        args: task.args,
        secrets: secrets.value,
        reference: name,
        plainHttp: run.plainHttp,
      },
      onLine,
      both,
    );
    return built.ok ? builder.engine.push(name, { plainHttp: run.plainHttp }, onLine, both) : built;
  });
  if (!made.ok) return made;
  const child = await readNewlyStaged(task, stagedTag, run, signal);
  if (!child.ok) return child;
  return ok({
    child: child.value,
    stagedTag,
    key: prepared.key,
    local: { engine: builder.engine, reference: name, builder: builder.name },
  });
}

/** Does something with a lent builder; when that is lost meanwhile, this is the failure, whatever its engine's client says. */
export async function onBuilder<T>(
  { builder, lost }: Lease,
  clock: Clock,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<Result<T>>,
): Promise<Result<T>> {
  const result = await work(AbortSignal.any([signal, lost]));
  if (result.ok || signal.aborted) return result;
  if (lost.aborted) return lostBuilder(builder.name, lost.reason);
  // An engine that dies makes a client say all sorts of things; what it did not live to the end of is not the Dockerfile's failure.
  if (result.failure.kind !== 'build' && result.failure.kind !== 'check') return result;
  const alive = await within(10_000, clock, signal, (probing) => builder.engine.probe(probing));
  if (alive?.ok || signal.aborted) return result;
  return lostBuilder(builder.name, alive?.failure ?? result.failure);
}

/** The image of a platform that an earlier run, or another process of this one, has pushed. */
export function readStaged(
  { repository, platform }: Pick<BuildTask, 'repository' | 'platform'>,
  tag: string,
  run: Pick<RunContext, 'registry' | 'registryAddress'>,
  signal: AbortSignal,
): Promise<Result<Child>> {
  return readPlatformImage(run.registry, { registry: run.registryAddress, repository, tag }, platform, signal);
}

/** The same, of what no journal says yet that it was looked through for secrets. */
export async function readNewlyStaged(
  task: BuildTask,
  tag: string,
  run: Pick<RunContext, 'registry' | 'registryAddress' | 'env'>,
  signal: AbortSignal,
): Promise<Result<Child>> {
  const child = await readStaged(task, tag, run, signal);
  if (!child.ok) return child;
  const values = task.secrets.flatMap((name) => secretValue(name, run.env) ?? []);
  const given: string[] = [];
  for (const part of [child.value.descriptor, ...child.value.attestations]) {
    const repository = { registry: run.registryAddress, repository: task.repository };
    const places = await secretsIn(run.registry, repository, part, values, signal);
    if (!places.ok) return places;
    given.push(...places.value);
  }
  if (given.length === 0) return child;
  return fail({
    kind: 'verification',
    message: `the image holds the value of a secret, and whoever has it can read it: ${given.join(', ')}`,
    where: `${task.repository}:${tag}`,
    help: 'it is not published; read the secret in the Dockerfile with RUN --mount=type=secret, where nothing writes it down',
  });
}

function secretsOf(task: BuildTask, env: RunContext['env']): Result<Record<string, string>> {
  const secrets: Record<string, string> = {};
  for (const name of task.secrets) {
    const value = secretValue(name, env);
    if (value === undefined) {
      return fail({
        kind: 'usage',
        message: `secret '${name}' of image '${task.image}' has no value`,
        help: `set the environment variable ${name}`,
      });
    }
    secrets[name] = value;
  }
  return ok(secrets);
}

/** Tag under which a run keeps the image of a platform until it is published. */
export function stagedTagOf({ platform }: Pick<BuildTask, 'platform'>, run: string): string {
  return `${run}-${archSuffix(platform)}`;
}

/** A secret comes from the environment variable of its name, as written or in upper case. */
export function secretValue(name: string, env: RunContext['env']): string | undefined {
  return env[name] ?? env[name.toUpperCase()];
}
