// Opens one builder: its connection, its engine, what that can build, and how it reaches the run's registry.
import { z } from 'zod';
import type { BuilderConfig } from '../config/config.ts';
import { createBuildahEngine } from '../engine/buildah.ts';
import { createBuildkitEngine } from '../engine/buildkit.ts';
import { createDockerEngine, type DockerConnection } from '../engine/docker.ts';
import { findDockerClient, parse } from '../engine/docker-client.ts';
import type { Engine, EngineInfo } from '../engine/engine.ts';
import { runProcess } from '../engine/process.ts';
import { fail, ok, type Result } from '../failure.ts';
import { formatPlatform, type Platform, samePlatform } from '../image/platform.ts';
import { isLoopback } from '../image/reference.ts';
import { type Endpoint, parseEndpoint } from './endpoint.ts';
import type { Builder, FleetOptions } from './fleet.ts';
import { openTunnel, type Tunnel } from './tunnel.ts';

export interface OpenBuilder {
  builder: Builder;
  close(): Promise<void>;
}

export async function openBuilder(
  config: BuilderConfig,
  options: FleetOptions,
  signal: AbortSignal,
): Promise<Result<OpenBuilder>> {
  const endpoint = await resolveEndpoint(config, options, signal);
  if (!endpoint.ok) return endpoint;
  const { loopbackPort } = options.registry;
  if (loopbackPort !== undefined && isElsewhere(endpoint.value)) {
    return fail({
      kind: 'placement',
      message: `builder '${config.name}' can't reach the embedded registry, which listens on this machine's loopback`,
      where: config.endpoint,
      help: 'let it listen on an address that the builder reaches (\'registry: { listen: "10.0.0.1:5000" }\', an insecure registry for that engine), name a registry, or reach the builder over ssh://',
    });
  }
  let tunnel: Tunnel | undefined;
  if (endpoint.value.kind === 'ssh') {
    const opened = await openTunnel({
      endpoint: endpoint.value,
      ...(loopbackPort === undefined ? {} : { registryPort: loopbackPort }),
      env: options.env,
      signal,
    });
    if (!opened.ok) return opened;
    tunnel = opened.value;
  }
  const close = async (): Promise<void> => tunnel?.close();
  const engine = createEngine(config, endpoint.value, tunnel, options.env);
  const builder = await examine(config, engine, options, signal);
  if (!builder.ok) {
    await close();
    return builder;
  }
  const registryAddress = tunnel?.registryPort ? `127.0.0.1:${tunnel.registryPort}` : options.registry.address;
  return ok({ builder: { ...builder.value, registryAddress }, close });
}

/** Has a loopback of its own, to which no tunnel leads. */
function isElsewhere(endpoint: Endpoint): boolean {
  return endpoint.kind === 'within' || (endpoint.kind === 'tcp' && !isLoopback(endpoint.address));
}

function createEngine(
  { engine, tls, endpoint: written }: BuilderConfig,
  endpoint: Endpoint,
  tunnel: Tunnel | undefined,
  env: FleetOptions['env'],
): Engine {
  if (engine === 'buildah') return createBuildahEngine({ endpoint: written, env });
  if (engine === 'buildkit') {
    const address = buildkitAddress(endpoint, tunnel);
    return createBuildkitEngine({ address, endpoint: written, env, ...(tls ? { tls } : {}) });
  }
  return createDockerEngine({ connection: connection(endpoint, tunnel, tls), endpoint: written, env });
}

function buildkitAddress(endpoint: Endpoint, tunnel: Tunnel | undefined): string | undefined {
  switch (endpoint.kind) {
    case 'local':
    case 'context':
      return undefined;
    case 'unix':
      return `unix://${endpoint.path}`;
    case 'ssh':
      return `unix://${tunnel?.socket ?? ''}`;
    case 'tcp':
      return `tcp://${endpoint.address}`;
    case 'within':
      return endpoint.address;
  }
}

function connection(endpoint: Endpoint, tunnel: Tunnel | undefined, tls: BuilderConfig['tls']): DockerConnection {
  switch (endpoint.kind) {
    case 'local':
      return { kind: 'default' };
    case 'unix':
      return { kind: 'host', address: `unix://${endpoint.path}` };
    case 'ssh':
      return { kind: 'host', address: `unix://${tunnel?.socket ?? ''}` };
    case 'tcp':
      return { kind: 'host', address: `tcp://${endpoint.address}`, ...(tls ? { tls } : {}) };
    case 'within':
      return { kind: 'host', address: endpoint.address };
    case 'context':
      return { kind: 'context', name: endpoint.name };
  }
}

/** Asks the engine what it is, and finds out which of the wanted platforms its machine can build. */
async function examine(
  config: BuilderConfig,
  engine: Engine,
  options: FleetOptions,
  signal: AbortSignal,
): Promise<Result<Omit<Builder, 'registryAddress'>>> {
  const probed = await engine.probe(signal);
  if (!probed.ok) return probed;
  const info = probed.value;
  const wanted = [...new Map(options.wanted.map(({ platform }) => [formatPlatform(platform), platform])).values()];
  const abilities = await Promise.all(
    wanted.map((platform) => ability(platform, config, engine, info, options, signal)),
  );
  const native: Platform[] = [];
  const emulated: Platform[] = [];
  for (const found of abilities) {
    if (!found.ok) return found;
    if (found.value.runs === 'natively') native.push(found.value.platform);
    if (found.value.runs === 'emulated') emulated.push(found.value.platform);
  }
  return ok({
    name: config.name,
    endpoint: config.endpoint,
    engine,
    info,
    native,
    emulated,
    slots: config.slots ?? Math.min(8, Math.max(1, info.cpus)),
  });
}

/** How a builder runs a platform: what the config gives it to do, and what its machine can. */
async function ability(
  platform: Platform,
  config: BuilderConfig,
  engine: Engine,
  { machine, identity, platforms }: EngineInfo,
  options: FleetOptions,
  signal: AbortSignal,
): Promise<Result<{ platform: Platform; runs: 'natively' | 'emulated' | 'not' }>> {
  if (config.platforms && !config.platforms.some((own) => samePlatform(own, platform))) {
    return ok({ platform, runs: 'not' });
  }
  if (samePlatform(platform, machine)) return ok({ platform, runs: 'natively' });
  const kin = runsNatively(machine, platform);
  const mayEmulate = options.wanted.some((one) => one.mode === 'emulated' && samePlatform(one.platform, platform));
  if (!kin && !mayEmulate) return ok({ platform, runs: 'not' });
  const known = identity !== undefined && options.abilities.known(identity, platform);
  // Emulation is always tried: it comes and goes while an engine runs.
  if (kin && (platforms?.some((own) => samePlatform(own, platform)) || known)) {
    return ok({ platform, runs: 'natively' });
  }
  const able = await engine.canRun(platform, signal);
  if (!able.ok) return able;
  if (kin && able.value && identity !== undefined) await options.abilities.keep(identity, platform);
  return ok({ platform, runs: !able.value ? 'not' : kin ? 'natively' : 'emulated' });
}

/** Platforms of the same processor family that it may run itself; whether this one does is tried out. */
function runsNatively(machine: Platform, platform: Platform): boolean {
  if (machine.os !== platform.os) return false;
  if (machine.architecture === platform.architecture) return true;
  return (
    (machine.architecture === 'amd64' && platform.architecture === '386') ||
    (machine.architecture === 'arm64' && platform.architecture === 'arm')
  );
}

const contextsSchema = z.array(
  z.looseObject({ Endpoints: z.looseObject({ docker: z.looseObject({ Host: z.string() }) }) }),
);

/** A docker context, or DOCKER_HOST, that names an ssh or tcp endpoint is treated as that endpoint. */
async function resolveEndpoint(
  config: BuilderConfig,
  { env }: FleetOptions,
  signal: AbortSignal,
): Promise<Result<Endpoint>> {
  const parsed = parseEndpoint(config.endpoint, config.engine);
  if (!parsed.ok) return parsed;
  const endpoint = parsed.value;
  if (config.engine === 'buildkit') {
    const { BUILDKIT_HOST: host } = env;
    return endpoint.kind === 'local' && host ? parseEndpoint(host, 'buildkit') : parsed;
  }
  if (config.engine === 'buildah') {
    if (endpoint.kind === 'local') return parsed;
    return fail({
      kind: 'usage',
      message: `builder '${config.name}': buildah has no daemon that could be reached at ${config.endpoint}`,
      help: "use it with 'endpoint: local', or a Docker Engine there",
    });
  }
  if (endpoint.kind === 'local') {
    const { DOCKER_HOST: host } = env;
    return host?.startsWith('ssh://') ? parseEndpoint(host) : parsed;
  }
  if (endpoint.kind !== 'context') return parsed;
  const client = await findDockerClient(env, signal);
  if (!client.ok) return client;
  const end = await runProcess(client.value.program, ['context', 'inspect', endpoint.name], { env, signal });
  if (end.kind === 'cancelled') return fail({ kind: 'cancelled' });
  const [context] = (end.kind === 'exited' ? parse(contextsSchema, end.stdout) : undefined) ?? [];
  if (!context) {
    return fail({
      kind: 'engine',
      transient: false,
      message: `there is no docker context '${endpoint.name}'`,
      where: config.endpoint,
      help: "'docker context ls' shows those there are",
    });
  }
  const host = context.Endpoints.docker.Host;
  return host.startsWith('ssh://') ? parseEndpoint(host) : parsed;
}
