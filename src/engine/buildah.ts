// Buildah, which needs no daemon: builds and pushes as the user that runs splitbuild, on this machine.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { fail, ok, type Result } from '../failure.ts';
import { formatPlatform, normalizePlatform } from '../image/platform.ts';
import { commonBuildFlags, ignoreFile, withDockerfile } from './build-flags.ts';
import { tryProgram } from './can-run.ts';
import { parse, programsOnPath } from './docker-client.ts';
import type { BuildRequest, Engine, EngineInfo, OnLine, RunRequest } from './engine.ts';
import { buildFailure, pushFailure, runFailure } from './outcome.ts';
import { type Exited, runClient } from './process.ts';

type Env = Readonly<Record<string, string | undefined>>;

const infoSchema = z.looseObject({
  host: z.looseObject({ arch: z.string(), os: z.string(), CPUs: z.number().optional() }),
});

export function createBuildahEngine({ endpoint, env }: { endpoint: string; env: Env }): Engine {
  async function buildah(
    args: string[],
    signal: AbortSignal,
    options: { onLine?: OnLine; env?: Env } = {},
  ): Promise<Result<Exited>> {
    const [program] = await programsOnPath('buildah', env);
    if (!program) {
      return fail({
        kind: 'engine',
        transient: false,
        message: 'there is no buildah on the PATH',
        where: endpoint,
        help: 'install Debian’s package buildah',
      });
    }
    const call = { env: { ...env, ...options.env }, signal, ...(options.onLine ? { onLine: options.onLine } : {}) };
    return runClient(program, args, call, endpoint);
  }

  async function probe(signal: AbortSignal): Promise<Result<EngineInfo>> {
    const version = await buildah(['--version'], signal);
    if (!version.ok) return version;
    const answered = await buildah(['info'], signal);
    if (!answered.ok) return answered;
    const info = parse(infoSchema, answered.value.stdout);
    if (!info) {
      return fail({
        kind: 'engine',
        transient: false,
        message: `buildah does not work here: ${answered.value.lines.at(-1) ?? 'it said nothing'}`,
        where: endpoint,
        tried: ['buildah info'],
        help: 'run it by hand; it may need a runtime (package crun) or another STORAGE_DRIVER',
      });
    }
    const [program = 'buildah'] = await programsOnPath('buildah', env);
    return ok({
      engine: 'buildah',
      version: /\d+\.\d+[^\s]*/.exec(version.value.stdout)?.[0] ?? '',
      client: program,
      machine: normalizePlatform({ os: info.host.os, architecture: info.host.arch }),
      cpus: info.host.CPUs ?? 1,
    });
  }

  async function build(request: BuildRequest, onLine: OnLine, signal: AbortSignal): Promise<Result<void>> {
    return withRegistries(request.reference ?? '', request.plainHttp, env, async (registries) => {
      const done = await withDockerfile(request, (file) =>
        buildah([...buildFlags(request, file), request.context], signal, {
          onLine,
          env: { ...request.secrets, ...registries },
        }),
      );
      if (!done.ok) return done;
      if (done.value.exitCode === 0) return ok(undefined);
      return fail(buildFailure(done.value.exitCode, done.value.lines, endpoint));
    });
  }

  async function run(
    { reference, platform, plainHttp, command }: RunRequest,
    onLine: OnLine,
    signal: AbortSignal,
  ): Promise<Result<void>> {
    return withRegistries(reference, plainHttp, env, async (registries) => {
      const made = await buildah(['from', '--platform', formatPlatform(platform), reference], signal, {
        env: registries,
      });
      if (!made.ok) return made;
      const container = made.value.stdout.trim();
      if (made.value.exitCode !== 0) return fail(buildFailure(made.value.exitCode, made.value.lines, endpoint));
      try {
        const words = typeof command === 'string' ? ['sh', '-c', command] : command;
        const done = await buildah(['run', container, '--', ...words], signal, { onLine });
        if (!done.ok) return done;
        if (done.value.exitCode === 0) return ok(undefined);
        return fail(runFailure(command, done.value, endpoint));
      } finally {
        await buildah(['rm', container], AbortSignal.timeout(20_000));
      }
    });
  }

  async function untag(references: string[], signal: AbortSignal): Promise<Result<void>> {
    if (references.length === 0) return ok(undefined);
    const done = await buildah(['untag', ...references], signal);
    return done.ok ? ok(undefined) : done;
  }

  return {
    probe,
    build,
    run,
    untag,
    canRun: (platform, signal) => tryProgram(build, platform, signal),

    async push(reference, { plainHttp }, onLine, signal) {
      const folder = await mkdtemp(join(tmpdir(), 'splitbuild-buildah-'));
      try {
        const digestFile = join(folder, 'digest');
        const verify = plainHttp ? ['--tls-verify=false'] : [];
        const args = ['push', ...verify, '--digestfile', digestFile, reference, `docker://${reference}`];
        const done = await buildah(args, signal, { onLine });
        if (!done.ok) return done;
        if (done.value.exitCode !== 0) return fail(pushFailure(reference, done.value.lines, endpoint));
        const digest = (await readFile(digestFile, 'utf8').catch(() => '')).trim();
        return ok(digest ? { digest } : {});
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    },

    async export(reference, file, signal) {
      const done = await buildah(['push', reference, `docker-archive:${file}:${reference}`], signal);
      if (!done.ok) return done;
      if (done.value.exitCode === 0) return ok(undefined);
      const message = `${reference} can't be saved: ${done.value.lines.at(-1) ?? ''}`;
      return fail({ kind: 'engine', transient: false, message, where: endpoint });
    },
  };
}

function buildFlags(request: BuildRequest, dockerfile: string): string[] {
  return [
    'build',
    // Each base is named by digest: what is there need not be fetched again.
    '--pull=false',
    '--format',
    'oci',
    ...commonBuildFlags(request, dockerfile),
    cacheFlag(request.dockerfile),
    // Buildah does not look for `<Dockerfile>.dockerignore` by itself as BuildKit does.
    ...(request.ignore === undefined ? [] : ['--ignorefile', ignoreFile(dockerfile)]),
    ...Object.keys(request.secrets).flatMap((id) => ['--secret', `id=${id},type=env,env=${id}`]),
  ];
}

/**
 * Steps are taken from earlier builds, but not where a stage begins with `FROM scratch`: there buildah (seen in 1.28) takes a step of
 * another platform for the same one if its files are the same, and the image gets that platform's name.
 */
function cacheFlag(dockerfile: string): string {
  const fromScratch = /^\s*FROM\s+(--\S+\s+)*scratch\b/im.test(dockerfile);
  return `--layers=${!fromScratch}`;
}

/** Environment for one call that may fetch from, or push to, the registry of `reference`. */
async function withRegistries<T>(
  reference: string,
  plainHttp: boolean,
  env: Env,
  use: (env: Env) => Promise<T>,
): Promise<T> {
  if (!plainHttp) return use({});
  const folder = await mkdtemp(join(tmpdir(), 'splitbuild-buildah-'));
  try {
    const file = join(folder, 'registries.conf');
    await writeFile(file, await registriesConf(reference, env));
    return await use({ CONTAINERS_REGISTRIES_CONF: file });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * The user's registries.conf with this run's registry as one of plain HTTP: `--tls-verify=false` would drop the check for every other
 * registry of the build as well (containers-registries.conf(5)).
 */
async function registriesConf(reference: string, env: Env): Promise<string> {
  const candidates = [
    env.CONTAINERS_REGISTRIES_CONF,
    join(env.HOME ?? homedir(), '.config/containers/registries.conf'),
    '/etc/containers/registries.conf',
  ];
  let own = '';
  for (const file of candidates) {
    const text = file ? await readFile(file, 'utf8').catch(() => undefined) : undefined;
    if (text === undefined) continue;
    own = text;
    break;
  }
  return `${own}\n[[registry]]\nlocation = "${reference.split('/')[0]}"\ninsecure = true\n`;
}
