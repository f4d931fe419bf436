// A BuildKit for tests: buildkitd and buildctl as scripts/setup.sh builds them where Go is, with Debian's runc. Needs Linux and root.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { TlsFiles } from './lab.ts';

/** The folder of buildctl and buildkitd, to be put on the PATH; undefined where they are not. */
export const buildkitPrograms = ['buildctl', 'buildkitd'].every((name) =>
  existsSync(join(import.meta.dirname, '../../.cache/bin', name)),
)
  ? join(import.meta.dirname, '../../.cache/bin')
  : undefined;

export interface Buildkit {
  socket: string;
  start(): Promise<void>;
  /** SIGTERM, and SIGKILL if that does not end it. */
  stop(): Promise<void>;
  /** SIGKILL, as a machine that loses its power. */
  kill(): Promise<void>;
}

export interface BuildkitOptions {
  /** Of a host of the lab, in whose network it is to be. */
  namespace?: string;
  /** Where it listens besides, for who has a certificate. */
  tls?: { address: string; files: TlsFiles };
  /** Registries that are told it to be of plain HTTP. */
  plainHttp?: string[];
}

export async function startBuildkit(
  folder: string,
  { namespace, tls, plainHttp = [] }: BuildkitOptions = {},
): Promise<Buildkit> {
  const programs = buildkitPrograms ?? '';
  mkdirSync(folder, { recursive: true });
  const socket = join(folder, 'buildkitd.sock');
  const log = join(folder, 'log');
  const config = join(folder, 'buildkitd.toml');
  writeFileSync(config, plainHttp.map((host) => `[registry."${host}"]\n  http = true\n`).join(''));
  const command = [
    ...(namespace === undefined ? [] : ['nsenter', `--net=/run/netns/${namespace}`]),
    join(programs, 'buildkitd'),
    ...['--config', config, '--root', join(folder, 'data'), '--addr', `unix://${socket}`],
    ...['--oci-worker-net', 'host', '--containerd-worker=false'],
    ...(tls
      ? [
          ...['--addr', tls.address, '--tlscacert', tls.files.ca],
          ...['--tlscert', tls.files.cert, '--tlskey', tls.files.key],
        ]
      : []),
  ];
  let child: ChildProcess | undefined;
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    const current = child;
    child = undefined;
    if (!current || current.exitCode !== null || current.signalCode !== null) return;
    const ended = new Promise((resolve) => current.once('exit', resolve));
    current.kill(signal);
    const last = setTimeout(() => current.kill('SIGKILL'), 5000);
    await ended;
    clearTimeout(last);
  };
  const self: Buildkit = {
    socket,
    async start() {
      const out = openSync(log, 'a');
      const [program = '', ...args] = command;
      child = spawn(program, args, { stdio: ['ignore', out, out], detached: true });
      closeSync(out);
      for (let tries = 0; tries < 300 && child.exitCode === null; tries += 1) {
        const asked = ['--addr', `unix://${socket}`, 'debug', 'workers'];
        const answers = promisify(execFile)(join(programs, 'buildctl'), asked, { timeout: 10_000 });
        if (
          await answers.then(
            () => true,
            () => false,
          )
        )
          return;
        await sleep(100);
      }
      throw new Error(`buildkitd did not start:\n${readFileSync(log, 'utf8').slice(-2000)}`);
    },
    stop: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
  };
  await self.start();
  return self;
}
