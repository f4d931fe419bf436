// Which Docker Engine stands in for the machine of a resource class, and how a job's docker commands reach it.
import { mkdir, symlink } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import type { BuilderConfig } from '../config/config.ts';
import { createDockerEngine, type DockerConnection } from '../engine/docker.ts';
import { type DockerClient, parse } from '../engine/docker-client.ts';
import { runProcess } from '../engine/process.ts';
import { fail, ok, type Result } from '../failure.ts';
import { type Endpoint, parseEndpoint } from '../fleet/endpoint.ts';
import { openTunnel } from '../fleet/tunnel.ts';
import { formatPlatform, type Platform, parsePlatform, samePlatform } from '../image/platform.ts';

type Env = Readonly<Record<string, string | undefined>>;

export interface DockerAccess {
  /** DOCKER_HOST, and what belongs to it. */
  env: Record<string, string>;
  /** As written: `ssh://ci@arm-1`. */
  endpoint: string;
  /** Set where the engine's machine is not of the class's platform: builds are emulated. */
  emulates?: string;
}

export interface Machines {
  /** For jobs that use Docker; undefined for a class that was not asked for. */
  of(resourceClass: string | undefined): DockerAccess | undefined;
  close(): Promise<void>;
}

export interface MachineOptions {
  /** `CLASS=ENDPOINT` of the command line; the class `default` stands for all that are not named. */
  given: string[];
  /** Of splitbuild.yaml, read only if a class needs it. */
  fromConfig(): Promise<Result<MachineConfig | undefined>>;
  client: DockerClient;
  env: Env;
  /** For files of the connections. */
  folder: string;
}

export interface MachineConfig {
  builders: BuilderConfig[];
  /** Resource class by platform. */
  resourceClass: Record<string, string>;
}

const ciSchema = z.object({
  circleci: z.object({ resourceClass: z.record(z.string(), z.string()).optional() }).optional(),
});

/** Of a config whose part for CI may be written in any way. */
export function machineConfig(builders: BuilderConfig[], ci: unknown): MachineConfig {
  return { builders, resourceClass: ciSchema.safeParse(ci).data?.circleci?.resourceClass ?? {} };
}

interface Choice {
  endpoint: string;
  tls?: BuilderConfig['tls'];
  /** Named for this class by the user: it may emulate. */
  asked: boolean;
}

/** Opens one engine for each class, each endpoint once. */
export async function openMachines(
  classes: (string | undefined)[],
  options: MachineOptions,
  signal: AbortSignal,
): Promise<Result<Machines>> {
  const given = readGiven(options.given);
  if (!given.ok) return given;
  const closing: (() => Promise<void>)[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(closing.map((one) => one()));
  };
  const opened = new Map<string, Promise<Result<Opened>>>();
  const open = (choice: Choice): Promise<Result<Opened>> => {
    const already = opened.get(choice.endpoint);
    if (already) return already;
    const opening = openEndpoint(choice, options, closing, opened.size, signal);
    opened.set(choice.endpoint, opening);
    return opening;
  };
  const access = new Map<string | undefined, DockerAccess>();
  for (const name of new Set(classes)) {
    const found = await findMachine(name, given.value, options, open);
    if (!found.ok) {
      await close();
      return found;
    }
    access.set(name, found.value);
  }
  return ok({ of: (name) => access.get(name), close });
}

function readGiven(pairs: string[]): Result<Map<string, string>> {
  const given = new Map<string, string>();
  for (const pair of pairs) {
    const [, name = '', endpoint = ''] = /^([^=\s]+)=(.+)$/.exec(pair) ?? [];
    if (name === '') {
      return fail({
        kind: 'usage',
        message: `--builder ${pair} is not class=endpoint`,
        help: 'write --builder arm.medium=ssh://ci@arm-1 or --builder default=local',
      });
    }
    const parsed = parseEndpoint(endpoint);
    if (!parsed.ok) return parsed;
    given.set(name, endpoint);
  }
  return ok(given);
}

interface Opened {
  env: Record<string, string>;
  machine: Platform;
}

async function findMachine(
  name: string | undefined,
  given: Map<string, string>,
  options: MachineOptions,
  open: (choice: Choice) => Promise<Result<Opened>>,
): Promise<Result<DockerAccess>> {
  const asked = given.get(name ?? 'default') ?? given.get('default');
  const config = asked === undefined ? await options.fromConfig() : ok(undefined);
  if (!config.ok) return config;
  const platform = platformOf(name, config.value);
  if (asked !== undefined) {
    const opened = await open({ endpoint: asked, asked: true });
    if (!opened.ok) return opened;
    const { env, machine } = opened.value;
    if (samePlatform(machine, platform)) return ok({ env, endpoint: asked });
    const emulates = formatPlatform(platform);
    return ok({ env: { ...env, DOCKER_DEFAULT_PLATFORM: emulates }, endpoint: asked, emulates });
  }
  const usable = (config.value?.builders ?? []).filter(
    ({ engine, platforms }) => engine === 'docker' && (platforms?.some((one) => samePlatform(one, platform)) ?? true),
  );
  const named = [...usable.filter(({ platforms }) => platforms), ...usable.filter(({ platforms }) => !platforms)];
  const choices: Choice[] =
    named.length > 0 ? named.map((one) => ({ ...one, asked: false })) : [{ endpoint: 'local', asked: false }];
  const tried: string[] = [];
  for (const choice of choices) {
    const opened = await open(choice);
    if (!opened.ok) return opened;
    const { env, machine } = opened.value;
    if (samePlatform(machine, platform)) return ok({ env, endpoint: choice.endpoint });
    tried.push(`${choice.endpoint}: ${formatPlatform(machine)}`);
  }
  const shown = name ?? 'default';
  return fail({
    kind: 'placement',
    message: `no builder is native for ${formatPlatform(platform)}, which ${name === undefined ? 'jobs without a resource class' : `resource class '${name}'`} means`,
    tried,
    help: `name one: --builder ${shown}=ssh://user@host; or let one that is here emulate it (slow): --builder ${shown}=local`,
  });
}

/** https://circleci.com/docs/using-arm/: the classes of arm64 begin with `arm.`. */
function platformOf(name: string | undefined, config: MachineConfig | undefined): Platform {
  const written = Object.entries(config?.resourceClass ?? {}).find(([, resourceClass]) => resourceClass === name)?.[0];
  const parsed = written === undefined ? undefined : parsePlatform(written);
  if (parsed?.ok) return parsed.value;
  return { os: 'linux', architecture: name?.startsWith('arm.') ? 'arm64' : 'amd64' };
}

async function openEndpoint(
  { endpoint: written, tls }: Choice,
  { client, env, folder }: MachineOptions,
  closing: (() => Promise<void>)[],
  number: number,
  signal: AbortSignal,
): Promise<Result<Opened>> {
  const endpoint = await resolveEndpoint(written, client, env, signal);
  if (!endpoint.ok) return endpoint;
  let address: string;
  if (endpoint.value.kind === 'ssh') {
    const tunnel = await openTunnel({ endpoint: endpoint.value, env, signal });
    if (!tunnel.ok) return tunnel;
    closing.push(() => tunnel.value.close());
    address = `unix://${tunnel.value.socket}`;
  } else if (endpoint.value.kind === 'unix') address = `unix://${endpoint.value.path}`;
  else if (endpoint.value.kind === 'tcp') address = `tcp://${endpoint.value.address}`;
  else return fail({ kind: 'engine', transient: false, message: `'${written}' leads to no engine`, where: written });
  const connection: DockerConnection = { kind: 'host', address, ...(tls ? { tls } : {}) };
  const probed = await createDockerEngine({ connection, endpoint: written, env }).probe(signal);
  if (!probed.ok) return probed;
  const certificates = tls ? await certificateFolder(tls, join(folder, `tls-${number}`)) : undefined;
  const secure: Record<string, string> = certificates ? { DOCKER_TLS_VERIFY: '1', DOCKER_CERT_PATH: certificates } : {};
  return ok({ env: { DOCKER_HOST: address, ...secure }, machine: probed.value.machine });
}

/** A context, or the client's own engine, is asked for: the jobs have a DOCKER_CONFIG without contexts. */
async function resolveEndpoint(
  written: string,
  client: DockerClient,
  env: Env,
  signal: AbortSignal,
): Promise<Result<Endpoint>> {
  const parsed = parseEndpoint(written);
  if (!parsed.ok) return parsed;
  const { kind } = parsed.value;
  if (kind !== 'local' && kind !== 'context') return parsed;
  if (kind === 'local' && env.DOCKER_HOST) return parseEndpoint(env.DOCKER_HOST);
  const args = ['context', 'inspect', ...(parsed.value.kind === 'context' ? [parsed.value.name] : [])];
  const asked = await runProcess(client.program, [...args, '--format', '{{json .Endpoints.docker.Host}}'], {
    env,
    signal,
  });
  if (asked.kind === 'cancelled') return fail({ kind: 'cancelled' });
  const host = asked.kind === 'exited' ? parse(z.string(), asked.stdout) : undefined;
  if (host !== undefined) return parseEndpoint(host);
  const help = "'docker context ls' shows those there are";
  return fail({
    kind: 'engine',
    transient: false,
    message: `docker knows no endpoint for '${written}'`,
    where: written,
    help,
  });
}

/** The client looks for files of these names. */
async function certificateFolder(tls: NonNullable<BuilderConfig['tls']>, folder: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  for (const kind of ['ca', 'cert', 'key'] as const) {
    const file = tls[kind];
    if (file !== undefined) await symlink(resolve(file), join(folder, `${kind}.pem`));
  }
  return folder;
}
