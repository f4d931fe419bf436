// Docker Engine, driven by the docker client: it has BuildKit's sessions, credential helpers and contexts.

import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { fail, ok, type Result } from '../failure.ts';
import { formatPlatform, normalizePlatform } from '../image/platform.ts';
import { commonBuildFlags, withDockerfile } from './build-flags.ts';
import { tryProgram } from './can-run.ts';
import { findDockerClient, parse } from './docker-client.ts';
import type { BuildRequest, Engine, EngineInfo, OnLine, RunRequest } from './engine.ts';
import { buildFailure, noAnswer, pushFailure, runFailure } from './outcome.ts';
import { type Exited, runClient } from './process.ts';

/** How the client reaches the engine. */
export type DockerConnection =
  /** As the client is configured: DOCKER_HOST, or its current context. */
  | { kind: 'default' }
  | { kind: 'host'; address: string; tls?: { ca?: string; cert?: string; key?: string } }
  | { kind: 'context'; name: string };

export interface DockerOptions {
  connection: DockerConnection;
  /** For messages: `ssh://ci@arm-1`. */
  endpoint: string;
  env: Readonly<Record<string, string | undefined>>;
}

/** What `docker info` says where no engine answers. */
const unansweredSchema = z.looseObject({ ServerErrors: z.array(z.string()).min(1) });

const infoSchema = z.looseObject({
  ServerVersion: z.string().min(1),
  OSType: z.string(),
  Architecture: z.string(),
  NCPU: z.number(),
  ID: z.string().min(1).optional(),
  KernelVersion: z.string().optional(),
});

export function createDockerEngine({ connection, endpoint, env }: DockerOptions): Engine {
  const childEnv = { ...env };
  if (connection.kind !== 'default') {
    delete childEnv.DOCKER_HOST;
    delete childEnv.DOCKER_CONTEXT;
    delete childEnv.DOCKER_TLS_VERIFY;
    delete childEnv.DOCKER_CERT_PATH;
  }
  const flags = connectionFlags(connection);

  type Call = { onLine?: OnLine; env?: Record<string, string> };

  /** Calls the client with what leads to this engine. */
  async function docker(args: string[], signal: AbortSignal, call: Call = {}): Promise<Result<Exited>> {
    const client = await findDockerClient(env, signal);
    if (!client.ok) return client;
    const options = { env: { ...childEnv, ...call.env }, signal, ...(call.onLine ? { onLine: call.onLine } : {}) };
    return runClient(client.value.program, [...flags, ...args], options, endpoint);
  }

  async function probe(signal: AbortSignal): Promise<Result<EngineInfo>> {
    const client = await findDockerClient(env, signal);
    if (!client.ok) return client;
    const args = ['info', '--format', '{{json .}}'];
    const answered = await docker(args, signal);
    if (!answered.ok) return answered;
    const info = parse(infoSchema, answered.value.stdout);
    if (!info) {
      const [told] = parse(unansweredSchema, answered.value.stdout)?.ServerErrors ?? [];
      const reason = told ?? answered.value.lines.at(-1) ?? 'it said nothing';
      const tried = [`${client.value.program} ${[...flags, ...args].join(' ')}`];
      const help =
        connection.kind === 'default'
          ? 'start it (systemctl start docker), or install Debian’s package docker.io; another one is named with --builder name=endpoint'
          : 'check that the engine runs there and that you may reach it';
      return fail(noAnswer('Docker Engine', reason, endpoint, { help, tried }));
    }
    return ok({
      engine: 'docker',
      version: info.ServerVersion,
      client: client.value.description,
      machine: normalizePlatform({ os: info.OSType, architecture: info.Architecture }),
      cpus: info.NCPU,
      ...(info.ID && info.KernelVersion ? { identity: `${info.ID} ${info.KernelVersion}` } : {}),
    });
  }

  /**
   * The builder that buildx makes for an engine bears the name of the engine's context, and `default` where there is none. It has to be
   * named: else the one that somebody chose with `buildx use` would build, elsewhere and for nobody's slots.
   */
  async function builderFlags(signal: AbortSignal): Promise<string[]> {
    if (connection.kind === 'context') return ['--builder', connection.name];
    if (connection.kind === 'host' || env.DOCKER_HOST) return ['--builder', 'default'];
    const current = await docker(['context', 'inspect', '--format', '{{.Name}}'], signal);
    const name = current.ok && current.value.exitCode === 0 ? current.value.stdout.trim() : '';
    return ['--builder', name || 'default'];
  }

  async function build(request: BuildRequest, onLine: OnLine, signal: AbortSignal): Promise<Result<void>> {
    const client = await findDockerClient(env, signal);
    if (!client.ok) return client;
    const command =
      client.value.builds === 'integrated' ? ['build'] : ['buildx', 'build', ...(await builderFlags(signal))];
    const done = await withDockerfile(request, (file) =>
      docker([...command, ...buildFlags(request, file), request.context], signal, {
        onLine,
        env: { ...request.secrets, DOCKER_BUILDKIT: '1' },
      }),
    );
    if (!done.ok) return done;
    if (done.value.exitCode === 0) return ok(undefined);
    return fail(buildFailure(done.value.exitCode, done.value.lines, endpoint));
  }

  async function run(
    { reference, platform, command }: RunRequest,
    onLine: OnLine,
    signal: AbortSignal,
  ): Promise<Result<void>> {
    const name = `splitbuild-${randomUUID()}`;
    const words = typeof command === 'string' ? ['sh', '-c', command] : command;
    const [program = '', ...rest] = words;
    const flags = ['--rm', '--init', '--name', name, '--platform', formatPlatform(platform), '--entrypoint', program];
    const done = await docker(['run', ...flags, reference, ...rest], signal, { onLine });
    // The client ended; a container that its death left running is not its affair any more.
    if (!done.ok) {
      await docker(['rm', '--force', name], AbortSignal.timeout(20_000));
      return done;
    }
    if (done.value.exitCode === 0) return ok(undefined);
    return fail(runFailure(command, done.value, endpoint));
  }

  async function untag(references: string[], signal: AbortSignal): Promise<Result<void>> {
    if (references.length === 0) return ok(undefined);
    const done = await docker(['image', 'rm', '--no-prune', ...references], signal);
    return done.ok ? ok(undefined) : done;
  }

  const socket =
    connection.kind === 'host' && connection.address.startsWith('unix://')
      ? connection.address.slice('unix://'.length)
      : undefined;

  return {
    probe,
    ...(socket === undefined
      ? {}
      : {
          async ping(signal: AbortSignal) {
            // Only a run that lasts comes to ask, and needs Node's HTTP for it.
            const { pingSocket } = await import('./docker-ping.ts');
            return pingSocket(socket, endpoint, signal);
          },
        }),
    build,
    run,
    untag,
    canRun: (platform, signal) => tryProgram(build, platform, signal),

    async push(reference, _options, onLine, signal) {
      let digest: string | undefined;
      const seen = (line: string): void => {
        digest = /digest: (sha256:[a-f0-9]{64})/.exec(line)?.[1] ?? digest;
        onLine(line);
      };
      const done = await docker(['push', reference], signal, { onLine: seen });
      if (!done.ok) return done;
      if (done.value.exitCode === 0) return ok(digest ? { digest } : {});
      return fail(pushFailure(reference, done.value.lines, endpoint));
    },

    async export(reference, file, signal) {
      const done = await docker(['save', '--output', file, reference], signal);
      if (!done.ok) return done;
      if (done.value.exitCode === 0) return ok(undefined);
      const message = `${reference} can't be saved: ${done.value.lines.at(-1) ?? ''}`;
      return fail({ kind: 'engine', transient: false, message, where: endpoint });
    },
  };
}

function connectionFlags(connection: DockerConnection): string[] {
  switch (connection.kind) {
    case 'default':
      return [];
    case 'context':
      return ['--context', connection.name];
    case 'host': {
      const { ca, cert, key } = connection.tls ?? {};
      const tls = connection.tls
        ? [
            ca ? '--tlsverify' : '--tls',
            ...(ca ? ['--tlscacert', ca] : []),
            ...(cert ? ['--tlscert', cert] : []),
            ...(key ? ['--tlskey', key] : []),
          ]
        : [];
      return ['--host', connection.address, ...tls];
    }
  }
}

function buildFlags(request: BuildRequest, dockerfile: string): string[] {
  return [
    '--progress',
    'plain',
    ...commonBuildFlags(request, dockerfile),
    ...Object.keys(request.secrets).flatMap((id) => ['--secret', `id=${id},env=${id}`]),
  ];
}
