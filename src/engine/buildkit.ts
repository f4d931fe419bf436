// BuildKit by itself, driven by buildctl: on this machine, over the network, in a pod or a container.
// It has no store of named images: what it builds, it pushes in the same solve. `build` ends where the steps do, and `push` awaits the rest.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { availableParallelism, hostname, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { fail, ok, type Result } from '../failure.ts';
import type { Digest } from '../image/oci.ts';
import { formatPlatform, normalizePlatform } from '../image/platform.ts';
import { withDockerfile } from './build-flags.ts';
import { tryProgram } from './can-run.ts';
import { parse, programsOnPath } from './docker-client.ts';
import type { BuildRequest, Engine, EngineInfo, OnLine, RunRequest } from './engine.ts';
import { buildFailure, buildkitTrust, noAnswer, pushFailure, runFailure } from './outcome.ts';
import { type Exited, runClient } from './process.ts';

export interface BuildkitOptions {
  /** For `buildctl --addr`; undefined for what buildctl takes by itself: BUILDKIT_HOST, or the socket of this machine's BuildKit. */
  address: string | undefined;
  tls?: { ca?: string; cert?: string; key?: string };
  /** For messages: `tcp://arm-1:1234`. */
  endpoint: string;
  env: Readonly<Record<string, string | undefined>>;
}

/** https://github.com/moby/buildkit/blob/master/api/types/worker.proto; the first worker is the one that builds. */
const workersSchema = z
  .array(
    z.looseObject({
      labels: z.record(z.string(), z.string()).nullish(),
      platforms: z
        .array(z.looseObject({ os: z.string(), architecture: z.string(), variant: z.string().optional() }))
        .min(1),
      buildkitVersion: z.looseObject({ version: z.string() }).optional(),
    }),
  )
  .min(1);

const metadataSchema = z.looseObject({ 'containerimage.digest': z.string().startsWith('sha256:') });

/** BuildKit says nothing of its machine's processors; unless that is this machine, so many are assumed. */
const assumedCpus = 4;

/** The progress begins with this line to export what was built; a step's own output stands behind its time. */
const exportBegins = /^#\d+ exporting to image$/;
const stepOutput = /^#\d+ \d+\.\d+ (.*)$/;
const stepEnded = /did not complete successfully: exit code: (\d+)$/;
const noProgram = /unable to start container process: .*(?:executable file not found|no such file or directory)/;

export function createBuildkitEngine({ address, tls, endpoint, env }: BuildkitOptions): Engine {
  const flags = [
    ...(address === undefined ? [] : ['--addr', address]),
    ...(tls?.ca ? ['--tlscacert', tls.ca] : []),
    ...(tls?.cert ? ['--tlscert', tls.cert] : []),
    ...(tls?.key ? ['--tlskey', tls.key] : []),
  ];
  /** What was built under a name, until it is asked whether it was pushed as well. */
  const pushes = new Map<string, Promise<Result<{ digest?: Digest }>>>();

  /** Asked once: it is probed often. */
  let client: Promise<Result<string>> | undefined;

  async function buildctl(
    args: string[],
    signal: AbortSignal,
    call: { onLine?: OnLine; env?: Record<string, string> } = {},
  ): Promise<Result<Exited>> {
    const [program] = await programsOnPath('buildctl', env);
    if (!program) {
      return fail({
        kind: 'engine',
        transient: false,
        message: 'there is no buildctl on the PATH',
        where: endpoint,
        help: 'install BuildKit’s client: buildctl of a release at https://github.com/moby/buildkit/releases',
      });
    }
    const options = { env: { ...env, ...call.env }, signal, ...(call.onLine ? { onLine: call.onLine } : {}) };
    return runClient(program, [...flags, ...args], options, endpoint);
  }

  async function probe(signal: AbortSignal): Promise<Result<EngineInfo>> {
    const args = ['debug', 'workers', '--format', '{{json .}}'];
    client ??= describeClient(signal);
    const [answered, described] = await Promise.all([buildctl(args, signal), client]);
    if (!answered.ok || !described.ok) client = undefined;
    if (!answered.ok) return answered;
    if (!described.ok) return described;
    const [worker] = parse(workersSchema, answered.value.stdout) ?? [];
    const [platform] = worker?.platforms ?? [];
    if (!worker || !platform) {
      const reason = answered.value.lines.at(-1)?.replace(/^error: /, '') || 'it said nothing';
      const tried = [`buildctl ${[...flags, ...args].join(' ')}`];
      return fail(
        noAnswer('BuildKit', reason, endpoint, {
          help: 'start buildkitd there, and check that you may reach it',
          tried,
        }),
      );
    }
    const isHere = worker.labels?.['org.mobyproject.buildkit.worker.hostname'] === hostname();
    return ok({
      engine: 'buildkit',
      version: worker.buildkitVersion?.version ?? '',
      client: described.value,
      machine: normalizePlatform({ os: platform.os, architecture: platform.architecture }),
      cpus: isHere ? availableParallelism() : assumedCpus,
      platforms: worker.platforms.map(normalizePlatform),
    });
  }

  async function describeClient(signal: AbortSignal): Promise<Result<string>> {
    const [program = 'buildctl'] = await programsOnPath('buildctl', env);
    const said = await buildctl(['--version'], signal);
    return said.ok ? ok(`${program} ${said.value.stdout.trim().split(/\s+/).at(2) ?? ''}`.trim()) : said;
  }

  async function solve(
    request: BuildRequest,
    output: string[],
    onLine: OnLine,
    signal: AbortSignal,
  ): Promise<Result<Exited>> {
    return withDockerfile(request, (file) =>
      buildctl(['build', ...solveFlags(request, dirname(file)), ...output], signal, { onLine, env: request.secrets }),
    );
  }

  /** One solve that builds and pushes. `built` is called when nothing is left to do but the export. */
  async function solveAndPush(
    request: BuildRequest,
    reference: string,
    built: () => void,
    onLine: OnLine,
    signal: AbortSignal,
  ): Promise<Result<{ digest?: Digest }>> {
    let exporting = false;
    const seen = (line: string): void => {
      if (exportBegins.test(line)) {
        exporting = true;
        built();
      }
      onLine(line);
    };
    const folder = await mkdtemp(join(tmpdir(), 'splitbuild-buildkit-'));
    try {
      const metadata = join(folder, 'metadata.json');
      // Where there is an image store (of containerd), it gets no name of what is only passing through.
      const image = `type=image,name=${reference},push=true,oci-mediatypes=true,store=false`;
      const output = ['--output', `${image}${request.plainHttp ? ',registry.insecure=true' : ''}`];
      const done = await solve(request, [...output, '--metadata-file', metadata], seen, signal);
      if (!done.ok) return done;
      const { exitCode, lines } = done.value;
      if (exitCode !== 0) {
        if (exporting) return fail(pushFailure(reference, lines, endpoint, buildkitTrust));
        return fail(buildFailure(exitCode, lines, endpoint, buildkitTrust));
      }
      const said = parse(metadataSchema, await readFile(metadata, 'utf8').catch(() => ''));
      return ok(said ? { digest: said['containerimage.digest'] } : {});
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  async function build(request: BuildRequest, onLine: OnLine, signal: AbortSignal): Promise<Result<void>> {
    const { reference } = request;
    if (reference === undefined) {
      const done = await solve(request, [], onLine, signal);
      if (!done.ok) return done;
      if (done.value.exitCode === 0) return ok(undefined);
      return fail(buildFailure(done.value.exitCode, done.value.lines, endpoint, buildkitTrust));
    }
    const steps = Promise.withResolvers<Result<void>>();
    const pushed = solveAndPush(request, reference, () => steps.resolve(ok(undefined)), onLine, signal);
    pushes.set(reference, pushed);
    const ended = await Promise.race([steps.promise, pushed]);
    if (ended.ok) return ok(undefined);
    pushes.delete(reference);
    return ended;
  }

  async function run(
    { reference, platform, plainHttp, command }: RunRequest,
    onLine: OnLine,
    signal: AbortSignal,
  ): Promise<Result<void>> {
    const said: string[] = [];
    const seen = (line: string): void => {
      const output = stepOutput.exec(line)?.[1];
      if (output === undefined) return;
      said.push(output);
      if (said.length > 25) said.shift();
      onLine(output);
    };
    const words = typeof command === 'string' ? ['sh', '-c', command] : command;
    const dockerfile = `FROM ${reference}\nRUN ${JSON.stringify(words)}\n`;
    const done = await inNothing((context) =>
      solve(
        {
          ...{ context, dockerfile, platform, plainHttp, args: {}, secrets: {}, reference: undefined },
          noCache: true,
        },
        [],
        seen,
        signal,
      ),
    );
    if (!done.ok) return done;
    if (done.value.exitCode === 0) return ok(undefined);
    const step = stepEnded.exec(done.value.lines.at(-1) ?? '')?.[1];
    if (step === undefined) {
      const failure = buildFailure(done.value.exitCode, done.value.lines, endpoint, buildkitTrust);
      if (failure.kind !== 'build') return fail(failure);
      return fail(runFailure(command, { ...done.value, exitCode: 125 }, endpoint));
    }
    // What a shell ends with that finds no program; runc has no code for it.
    const exitCode = noProgram.test(said.at(-1) ?? '') ? 127 : Number(step);
    return fail(runFailure(command, { ...done.value, exitCode, lines: said }, endpoint));
  }

  const socket = address?.startsWith('unix://') ? address.slice('unix://'.length) : undefined;

  return {
    probe,
    ...(socket === undefined
      ? {}
      : {
          async ping(signal: AbortSignal) {
            // Only a run that lasts comes to ask, and needs Node's HTTP/2 for it.
            const { pingSocket } = await import('./buildkit-ping.ts');
            return pingSocket(socket, endpoint, signal);
          },
        }),
    build,
    run,
    canRun: (platform, signal) => tryProgram(build, platform, signal),
    // No name is kept.
    untag: async () => ok(undefined),

    async push(reference) {
      const pushed = pushes.get(reference);
      pushes.delete(reference);
      if (pushed) return pushed;
      const message = `${reference} was not built here: BuildKit pushes what it builds, and keeps no image by name`;
      return fail({ kind: 'engine', transient: false, message, where: endpoint });
    },

    async export(reference, file, signal) {
      const done = await inNothing((context) =>
        withDockerfile({ dockerfile: `FROM ${reference}\n` }, (dockerfile) => {
          const locals = localFlags(context, dirname(dockerfile));
          const output = ['--output', `type=docker,name=${reference},dest=${file}`];
          return buildctl(['build', ...locals, ...output], signal, { onLine: () => undefined });
        }),
      );
      if (!done.ok) return done;
      if (done.value.exitCode === 0) return ok(undefined);
      const message = `${reference} can't be saved: ${done.value.lines.at(-1) ?? ''}`;
      return fail({ kind: 'engine', transient: false, message, where: endpoint });
    },
  };
}

/** A context for a Dockerfile that takes nothing from it. */
async function inNothing<T>(use: (context: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'splitbuild-empty-'));
  try {
    return await use(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function localFlags(context: string, dockerfileFolder: string): string[] {
  return [
    ...['--progress', 'plain', '--frontend', 'dockerfile.v0'],
    ...['--local', `context=${context}`, '--local', `dockerfile=${dockerfileFolder}`],
  ];
}

function solveFlags(request: BuildRequest, dockerfileFolder: string): string[] {
  return [
    ...localFlags(request.context, dockerfileFolder),
    ...['--opt', `platform=${formatPlatform(request.platform)}`],
    ...(request.target ? ['--opt', `target=${request.target}`] : []),
    ...(request.noCache ? ['--no-cache'] : []),
    ...Object.entries(request.args).flatMap(([name, value]) => ['--opt', `build-arg:${name}=${value}`]),
    ...Object.entries(request.labels ?? {}).flatMap(([name, value]) => ['--opt', `label:${name}=${value}`]),
    ...Object.keys(request.secrets).flatMap((id) => ['--secret', `id=${id},env=${id}`]),
  ];
}
