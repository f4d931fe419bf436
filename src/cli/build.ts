import { resolve } from 'node:path';
import v8 from 'node:v8';
import { systemClock } from '../clock.ts';
import type { BuilderConfig, Config } from '../config/config.ts';
import { type Failure, fail, ok, type Result } from '../failure.ts';
import { openAbilities } from '../fleet/abilities.ts';
import { type Fleet, openFleet } from '../fleet/fleet.ts';
import { auditImage } from '../image/audit/audit.ts';
import { type AuditCache, createAuditCache } from '../image/audit/cache.ts';
import { formatFindings } from '../image/audit/format.ts';
import { formatPlatform } from '../image/platform.ts';
import type { Plan } from '../plan/plan.ts';
import { rememberedRegistry } from '../registry/remembered.ts';
import { createReporter } from '../report/choose.ts';
import type { Agreement } from '../run/agreed-externals.ts';
import { createInputReader } from '../run/build-inputs.ts';
import { openChecks } from '../run/checks.ts';
import type { RunContext } from '../run/context.ts';
import type { Event } from '../run/event.ts';
import { execute } from '../run/execute.ts';
import { gateFileReader, gateRunner } from '../run/gate.ts';
import { openJournal, readHistory } from '../run/journal.ts';
import { openParts } from '../run/keys-parts.ts';
import { findReusable } from '../run/keys-survey.ts';
import { lookAtPublished } from '../run/published.ts';
import { secretValue } from '../secret.ts';
import { type FamilyOptions, interruptSignal, type Loaded, load, printFailure } from './load.ts';
import { type OpenRegistry, openRegistry, runId } from './open-registry.ts';

interface BuildOptions extends FamilyOptions {
  builder: string[];
  publish: boolean;
  runId?: string | undefined;
  force?: true | undefined;
  /** False: whatever was built before, build everything anew. */
  cache?: boolean | undefined;
  verbose?: true | undefined;
}

/** The manifest job of a pipeline: joins and publishes what other jobs have built under the same run id. */
export async function publish(images: string[], options: Omit<BuildOptions, 'publish'>): Promise<number> {
  if (options.runId === undefined) {
    return printFailure({
      kind: 'usage',
      message: 'publish wants the run whose builds it joins',
      help: "give --run-id, the same as to 'splitbuild build --no-publish'",
    });
  }
  return run(images, { ...options, publish: true }, false);
}

export async function build(images: string[], options: BuildOptions): Promise<number> {
  return run(images, options, true);
}

async function run(images: string[], options: BuildOptions, builds: boolean): Promise<number> {
  // A run waits for engines most of its time: a third of the memory is worth more to it than fewer collections of short-lived objects.
  v8.setFlagsFromString('--semi-space-growth-factor=1');
  if (options.runId !== undefined && !/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$/.test(options.runId)) {
    return printFailure({
      kind: 'usage',
      message: `--run-id ${options.runId} can't be part of a tag`,
      help: 'letters, digits, _ . and -, 100 at most',
    });
  }
  const stopped = new AbortController();
  const signal = AbortSignal.any([interruptSignal(), stopped.signal]);
  const loaded = await load(images, options, signal);
  if (!loaded.ok) return printFailure(loaded.failure);
  const { config, plan } = loaded.value;
  const refused = (options.publish ? leftOut(loaded.value) : undefined) ?? (builds ? secretsWithout(plan) : undefined);
  if (refused) return printFailure(refused);
  const builders = chosenBuilders(options.builder, config);
  if (!builders.ok) return printFailure(builders.failure);
  // What can't be kept can't be resumed: nothing more is begun.
  let storageFailure: Failure | undefined;
  const lostStorage = (failure: Failure): void => {
    storageFailure ??= failure;
    stopped.abort();
  };
  const registry = await openRegistry(config, options.state, lostStorage);
  if (!registry.ok) return printFailure(registry.failure);
  const client = rememberedRegistry(registry.value.client);
  const readInputs = createInputReader({
    tasks: plan.tasks.flatMap((task) => (task.kind === 'build' ? [task] : [])),
    cache: resolve(options.state, 'contexts'),
    registry: registry.value.client,
    clock: systemClock,
    signal,
    ...(options.runId === undefined
      ? {}
      : { agreement: agreementOf(options.runId, registry.value.client, registry.value.address) }),
  });
  let fleet: Fleet | undefined;
  try {
    const noCache = options.cache === false;
    const parts = openParts(resolve(options.state, 'keys'));
    const journals = resolve(options.state, 'runs');
    const history = await readHistory(journals, plan.family);
    const audit = auditor({ ...registry.value, client }, createAuditCache(resolve(options.state, 'audit')));
    const world = { registry: client, registryAddress: registry.value.address, clock: systemClock, readInputs, audit };
    // Tags that an earlier run left in the middle are put right first. What a shared run takes lies under its own tags.
    const looks = builds && options.publish && !noCache && options.runId === undefined && history.open.length === 0;
    const look = looks ? lookAtPublished(plan, world, (task) => parts.read(task) !== undefined, signal) : undefined;
    const there = builds && !noCache ? await findReusable(plan, { ...world, parts, look }, history, signal) : undefined;
    const needed = there?.needed ?? (builds ? plan.tasks : []);
    const wanted = needed.flatMap((task) =>
      task.kind === 'publish' ? [] : [{ platform: task.platform, mode: task.mode }],
    );
    // Where all is there, no builder is asked for anything.
    const opened = await openFleet(
      wanted.length > 0 ? builders.value : [],
      {
        registry: {
          address: registry.value.address,
          ...(registry.value.loopbackPort ? { loopbackPort: registry.value.loopbackPort } : {}),
        },
        wanted,
        abilities: openAbilities(resolve(options.state, 'abilities.json'), systemClock),
        env: process.env,
      },
      signal,
    );
    if (!opened.ok) return printFailure(opened.failure);
    fleet = opened.value;
    const id = options.runId ?? runId(new Date());
    const journal = openJournal(journals, id);
    if (!journal.ok) return printFailure(journal.failure);
    const reporter = createReporter({
      json: options.json ?? false,
      isTTY: process.stderr.isTTY === true,
      env: process.env,
      stdout: process.stdout,
      stderr: process.stderr,
      verbose: options.verbose ?? false,
    });
    const emit = (event: Event): void => {
      const written = storageFailure ? undefined : journal.value.append(event);
      if (written && !written.ok) lostStorage(written.failure);
      reporter.event(event);
    };
    try {
      const outcome = await execute(
        plan,
        {
          id,
          shared: options.runId !== undefined,
          ...world,
          plainHttp: registry.value.plainHttp,
          embedded: config.registry.kind === 'embedded',
          fleet,
          emit,
          env: process.env,
          noCache,
          ...(there ? { found: there.found } : {}),
          ...(look ? { look } : {}),
          keepParts: parts.keep,
          audit,
          runGate: gateRunner(config.folder, process.env),
          gateFiles: gateFileReader(config.folder),
          checked: openChecks(resolve(options.state, 'checked')),
          force: options.force ?? false,
        },
        history,
        signal,
        { publish: options.publish, build: builds },
      );
      reporter.close();
      if (storageFailure) return printFailure(storageFailure);
      return outcome === 'done' ? 0 : outcome === 'interrupted' ? 130 : 1;
    } finally {
      reporter.close();
      journal.value.close();
    }
  } finally {
    await fleet?.close();
    await registry.value.close();
  }
}

/** Bases are looked at before there is anybody to report to. */
function agreementOf(run: string, registry: OpenRegistry['client'], registryAddress: string): Agreement {
  return { run, registry, registryAddress, warn: (message) => void process.stderr.write(`warning: ${message}\n`) };
}

/** Audits an image of the run's registry; layers that were seen before are known from the state folder. */
function auditor({ client, address }: OpenRegistry, cache: AuditCache): RunContext['audit'] {
  return async ({ name, repository, descriptor, platform }, allow, signal) => {
    const at = { registry: address, repository };
    const report = await auditImage(client, at, descriptor, platform, { allow, cache }, signal);
    return report.ok ? ok(formatFindings(name, platform, report.value.findings)) : report;
  };
}

/** A tag must not lose platforms because one run was asked for fewer. */
function leftOut({ family, plan }: Loaded): Failure | undefined {
  for (const task of plan.tasks) {
    if (task.kind !== 'publish') continue;
    const image = family.images.find(({ name }) => name === task.image);
    if (!image || image.builds.length === task.builds.length) continue;
    const all = image.builds.map(({ platform }) => formatPlatform(platform)).join(', ');
    return {
      kind: 'usage',
      message: `published now, '${task.image}' would have ${task.builds.map(({ platform }) => formatPlatform(platform)).join(', ')} instead of ${all}`,
      help: 'add --no-publish, or leave --platform out; to have fewer platforms for good, say so in the config',
    };
  }
  return undefined;
}

/** Known before anything is begun, rather than when the first build asks for one. */
function secretsWithout(plan: Plan): Failure | undefined {
  const names = new Set(plan.tasks.flatMap((task) => (task.kind === 'build' ? task.secrets : [])));
  const missing = [...names].filter((name) => secretValue(name, process.env) === undefined);
  if (missing.length === 0) return undefined;
  return {
    kind: 'usage',
    message: `${missing.length === 1 ? 'a secret has' : 'secrets have'} no value: ${missing.join(', ')}`,
    help: `set the environment ${missing.length === 1 ? 'variable' : 'variables'} ${missing.join(', ')}`,
  };
}

function chosenBuilders(given: string[], config: Config): Result<BuilderConfig[]> {
  if (given.length === 0) return ok(config.builders);
  const builders: BuilderConfig[] = [];
  for (const pair of given) {
    const match = /^([A-Za-z0-9][\w.-]*)=(?:(docker|buildah|buildkit)\+)?(.+)$/.exec(pair);
    if (!match) {
      return fail({
        kind: 'usage',
        message: `--builder ${pair} is not name=endpoint`,
        help: 'write --builder arm=ssh://ci@arm-1 or --builder here=buildah+local',
      });
    }
    const [, name = '', engine, endpoint = ''] = match;
    builders.push({ name, endpoint, engine: engine === 'buildah' || engine === 'buildkit' ? engine : 'docker' });
  }
  return ok(builders);
}
