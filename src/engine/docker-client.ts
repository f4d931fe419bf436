// Finds the docker client that can build with BuildKit. More than one may be on the PATH, and a new one without its buildx plugin can't.
import { access, constants, realpath } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { z } from 'zod';
import { fail, ok, type Result } from '../failure.ts';
import { runProcess } from './process.ts';

export interface DockerClient {
  /** Absolute path. */
  program: string;
  version: string;
  /** The buildx plugin, or (before 23.0) the client's own BuildKit session to the one in the engine. */
  builds: 'buildx' | 'integrated';
  /** `/usr/bin/docker 20.10.24, BuildKit in the engine`. */
  description: string;
}

type Env = Readonly<Record<string, string | undefined>>;

const versionSchema = z.looseObject({ Version: z.string() });

const found = new Map<string, Promise<Result<DockerClient>>>();

/** The first client on the PATH with buildx, or else the first that builds without it. Looked for once a PATH. */
export function findDockerClient(env: Env, signal: AbortSignal): Promise<Result<DockerClient>> {
  const key = `${env.PATH}\0${env.DOCKER_CONFIG}\0${env.HOME}`;
  let search = found.get(key);
  if (!search) {
    search = searchPath(env, signal);
    found.set(key, search);
    // A search that was interrupted says nothing of the next.
    search.then((result) => result.ok || found.delete(key));
  }
  return search;
}

async function searchPath(env: Env, signal: AbortSignal): Promise<Result<DockerClient>> {
  const tried: string[] = [];
  const clients: DockerClient[] = [];
  const programs = await programsOnPath('docker', env);
  const examined = await Promise.all(programs.map((program) => examine(program, env, signal)));
  if (signal.aborted) return fail({ kind: 'cancelled' });
  for (const client of examined) {
    if (typeof client === 'string') tried.push(client);
    else clients.push(client);
  }
  const best = clients.find((client) => client.builds === 'buildx') ?? clients[0];
  if (best) return ok(best);
  return fail({
    kind: 'engine',
    transient: false,
    message:
      tried.length > 0 ? 'no docker client here can build with BuildKit' : 'there is no docker client on the PATH',
    tried,
    help:
      tried.length > 0
        ? 'install the buildx plugin (Docker’s package docker-buildx-plugin, or docker-buildx)'
        : 'install one: Debian’s package docker.io, or docker-ce-cli with docker-buildx-plugin from Docker',
  });
}

async function examine(program: string, env: Env, signal: AbortSignal): Promise<DockerClient | string> {
  const [client, buildx] = await Promise.all([
    runProcess(program, ['version', '--format', '{{json .Client}}'], { env, signal }),
    runProcess(program, ['buildx', 'version'], { env, signal }),
  ]);
  // The client's own version is printed even where no daemon answers, with exit code 1.
  const version = client.kind === 'exited' ? parse(versionSchema, client.stdout)?.Version : undefined;
  if (version === undefined) return `${program}: does not say its version`;
  if (buildx.kind === 'exited' && buildx.exitCode === 0) {
    const plugin = /v\d[^\s]*/.exec(buildx.stdout)?.[0] ?? '';
    return { program, version, builds: 'buildx', description: `${program} ${version}, buildx ${plugin}`.trim() };
  }
  const release = version.split('+')[0];
  if (Number.parseInt(version, 10) < 23) {
    return { program, version, builds: 'integrated', description: `${program} ${release}, BuildKit in the engine` };
  }
  return `${program} ${release}: has no buildx plugin`;
}

/** Every program of that name on the PATH, each file once. */
export async function programsOnPath(name: string, env: Env): Promise<string[]> {
  const programs = new Map<string, string>();
  for (const folder of (env.PATH ?? '').split(delimiter).filter(Boolean)) {
    const path = join(folder, name);
    const real = await access(path, constants.X_OK).then(
      () => realpath(path),
      () => undefined,
    );
    if (real !== undefined && !programs.has(real)) programs.set(real, path);
  }
  return [...programs.values()];
}

/** The first JSON value of an output, checked; undefined where it is none. */
export function parse<T>(schema: z.ZodType<T>, text: string): T | undefined {
  try {
    return schema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
