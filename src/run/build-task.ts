// One build: the Dockerfile pinned to what its upstreams made, built on a builder of its platform, pushed, and read back.
import { type Clock, within } from '../clock.ts';
import { pinReferences } from '../dockerfile/pin.ts';
import type { Engine } from '../engine/engine.ts';
import { fail, ok, type Result } from '../failure.ts';
import type { Lease } from '../fleet/fleet.ts';
import { lostBuilder } from '../fleet/health.ts';
import { secretsIn } from '../image/history.ts';
import type { Digest } from '../image/oci.ts';
import { archSuffix, formatPlatform } from '../image/platform.ts';
import type { Next } from '../plan/handover.ts';
import { buildId } from '../plan/make-plan.ts';
import type { BuildTask } from '../plan/plan.ts';
import { secretValue } from '../secret.ts';
import { underAny } from '../signals.ts';
import type { BuildInputs } from './build-inputs.ts';
import { buildKey, type KeyParts } from './build-key.ts';
import type { RunContext } from './context.ts';
import { readStaged, type StagedImage } from './keys.ts';
import { pinnedName } from './keys-externals.ts';

/** What a build left in the registry. */
export interface Built extends StagedImage {
  /** Where it lies: under a tag of a run, or under its key. */
  stagedTag: string;
  key: Digest;
  /** The engine that built it in this run, its name for it, the builder's, and when it was built and not pushed yet. */
  local?: { engine: Engine; reference: string; builder: string; builtAt: number };
}

export interface PreparedBuild {
  task: BuildTask;
  key: Digest;
  parts: KeyParts;
  /** External images that stay as they are written, with why: the key does not tell what they are, so that it is good for this run alone. */
  unpinned: { reference: string; why: string }[];
  /** The Dockerfile as a builder gets it that reaches the registry under this address. */
  dockerfileFor(registryAddress: string): string;
  ignore: string | undefined;
}

/** With what the upstreams made, the inputs become a Dockerfile that names all images by digest, and a key. */
export function prepareBuild(
  task: BuildTask,
  { dockerfile: text, ignore, context, files, externals = new Map() }: BuildInputs,
  upstream: (task: string) => { repository: string; digest: Digest },
): PreparedBuild {
  const unpinned = new Map<string, string>();
  const found: KeyParts['externals'] = {};
  const outside = (task.externals ?? []).flatMap(({ reference, range }) => {
    const external = externals.get(reference);
    if (!external) return [];
    found[reference] = external.digest ?? '';
    if (external.digest !== undefined) return [{ range, value: pinnedName(reference, external.digest) }];
    unpinned.set(reference, external.why);
    return [];
  });
  const dockerfileFor = (registryAddress: string): string =>
    pinReferences(text, [
      ...outside,
      ...task.upstreams.map((pin) => {
        const made = upstream(pin.task);
        return { range: pin.range, value: `${registryAddress}/${made.repository}@${made.digest}` };
      }),
    ]);
  const needed = neededBuilds(task)
    .filter((id) => !task.upstreams.some((pin) => pin.task === id))
    .flatMap((id): [string, Digest][] => {
      const { digest } = upstream(id);
      return digest === '' ? [] : [[id, digest]];
    });
  const parts: KeyParts = {
    dockerfile: text,
    context,
    ...(files && files.size <= mostFiles ? { files: Object.fromEntries(files) } : {}),
    args: task.args,
    target: task.target ?? '',
    platform: formatPlatform(task.platform),
    secrets: task.secrets,
    upstreams: Object.fromEntries([
      ...task.upstreams.map((pin): [string, Digest] => [pin.task, upstream(pin.task).digest]),
      ...needed,
    ]),
    externals: found,
  };
  const key = buildKey(task, dockerfileFor('registry'), context, {
    unpinned: [...unpinned.keys()],
    needed: needed.map(([, digest]) => digest),
  });
  const unpinnedList = [...unpinned].map(([reference, why]) => ({ reference, why }));
  return { task, key, parts, unpinned: unpinnedList, dockerfileFor, ignore };
}

/** The builds of its platform that it comes after; where it waits for an image to be published, that image's. */
export function neededBuilds({ needs, platform }: Pick<BuildTask, 'needs' | 'platform'>): string[] {
  const publishes = 'publish ';
  return needs.map((id) =>
    id.startsWith(publishes) ? buildId(id.slice(publishes.length), formatPlatform(platform)) : id,
  );
}

/** Of a context, that are kept by name to say later which has changed. */
const mostFiles = 20_000;

/**
 * Builds, pushes under a name of the run's own, and reads back from the registry what was pushed. `offered`: who may have the slot
 * once it is built.
 */
export async function runBuild(
  prepared: PreparedBuild,
  lease: Lease,
  offered: (next: Next) => boolean,
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
  let builtAt = 0;
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
        ...(run.noCache ? { noCache: true } : {}),
      },
      onLine,
      both,
    );
    if (!built.ok) return built;
    builtAt = run.clock.now();
    // The next build goes on beside the push and the reading back.
    lease.offerSlot(offered);
    return builder.engine.push(name, { plainHttp: run.plainHttp }, onLine, both);
  });
  if (!made.ok) return made;
  const child = await readNewlyStaged(task, stagedTag, run, signal);
  if (!child.ok) return child;
  return ok({
    ...child.value,
    stagedTag,
    key: prepared.key,
    local: { engine: builder.engine, reference: name, builder: builder.name, builtAt },
  });
}

/** Does something with a lent builder; when that is lost meanwhile, this is the failure, whatever its engine's client says. */
export async function onBuilder<T>(
  { builder, lost }: Lease,
  clock: Clock,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<Result<T>>,
): Promise<Result<T>> {
  const result = await underAny([signal, lost], work);
  if (result.ok || signal.aborted) return result;
  if (lost.aborted) return lostBuilder(builder.name, lost.reason);
  // An engine that dies makes a client say all sorts of things; what it did not live to the end of is not the Dockerfile's failure.
  if (result.failure.kind !== 'build' && result.failure.kind !== 'check') return result;
  const alive = await within(10_000, clock, signal, (probing) => builder.engine.probe(probing));
  if (alive?.ok || signal.aborted) return result;
  return lostBuilder(builder.name, alive?.failure ?? result.failure);
}

/** The image of a platform that was pushed, and of which nobody has said yet that it was looked through for secrets. */
export async function readNewlyStaged(
  task: BuildTask,
  tag: string,
  run: Pick<RunContext, 'registry' | 'registryAddress' | 'env'>,
  signal: AbortSignal,
): Promise<Result<StagedImage>> {
  const staged = await readStaged(task, tag, run, signal);
  if (!staged.ok) return staged;
  const { child } = staged.value;
  const values = task.secrets.flatMap((name) => secretValue(name, run.env) ?? []);
  const given: string[] = [];
  for (const part of [child.descriptor, ...child.attestations]) {
    const repository = { registry: run.registryAddress, repository: task.repository };
    const places = await secretsIn(run.registry, repository, part, values, signal);
    if (!places.ok) return places;
    given.push(...places.value);
  }
  if (given.length === 0) return staged;
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
