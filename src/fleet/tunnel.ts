// One ssh connection to a builder's machine: its engine's socket comes here, and this run's registry goes there.
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fail, ok, type Result } from '../failure.ts';
import type { Endpoint } from './endpoint.ts';

export interface Tunnel {
  /** Unix socket on this machine that is the engine's on the other. */
  socket: string;
  /** Port on the other machine's loopback that is the registry's here. */
  registryPort?: number;
  /** Why the connection ended by itself; undefined while it is up. */
  lost(): string | undefined;
  close(): Promise<void>;
}

export interface TunnelOptions {
  endpoint: Extract<Endpoint, { kind: 'ssh' }>;
  /** Port on this machine's loopback that the other machine is to reach. */
  registryPort?: number;
  env: Readonly<Record<string, string | undefined>>;
  signal: AbortSignal;
}

/** How long a connection may take, ms. */
const patience = 30_000;

/**
 * Forwards by `ssh -L socket` and `-R 0` (a port that the other side chooses). Host keys are checked as the user's ssh does;
 * SPLITBUILD_SSH_CONFIG names another ssh_config. It needs a key or agent: nobody is there to type a password.
 */
export async function openTunnel({ endpoint, registryPort, env, signal }: TunnelOptions): Promise<Result<Tunnel>> {
  const folder = await mkdtemp(join(tmpdir(), 'splitbuild-ssh-'));
  const socket = join(folder, 'engine.sock');
  const target = endpoint.user ? `${endpoint.user}@${endpoint.host}` : endpoint.host;
  const options = [
    'BatchMode=yes',
    'ExitOnForwardFailure=yes',
    'ServerAliveInterval=10',
    'ServerAliveCountMax=3',
    'ConnectTimeout=20',
    'StreamLocalBindUnlink=yes',
    // A shared connection would not end with this process.
    'ControlMaster=no',
    'ControlPath=none',
  ];
  const args = [
    ...(env.SPLITBUILD_SSH_CONFIG ? ['-F', env.SPLITBUILD_SSH_CONFIG] : []),
    '-T',
    ...options.flatMap((option) => ['-o', option]),
    ...(endpoint.port ? ['-p', String(endpoint.port)] : []),
    '-L',
    `${socket}:${endpoint.socket}`,
    ...(registryPort ? ['-R', `127.0.0.1:0:127.0.0.1:${registryPort}`] : []),
    '--',
    target,
    // It ends with this process, even if that is killed: then its input ends.
    'cat',
  ];
  const { execa } = await import('execa');
  const child = execa('ssh', args, {
    stdin: 'pipe',
    stdout: 'ignore',
    env,
    extendEnv: false,
    reject: false,
    // A Ctrl-C in the terminal goes to its whole process group, and the builds need the tunnel until they have stopped.
    detached: true,
    cleanup: true,
  });
  const said: string[] = [];
  let allocated: number | undefined;
  let ended: string | undefined;
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
    said.push(...chunk.split('\n').filter(Boolean));
    if (said.length > 20) said.splice(0, said.length - 20);
    const port = /Allocated port (\d+) for remote forward/.exec(chunk)?.[1];
    if (port) allocated = Number(port);
  });
  const exit = child.then((done) => {
    ended = said.at(-1) ?? done.shortMessage ?? 'the connection ended';
  });
  const close = async (): Promise<void> => {
    child.kill('SIGTERM');
    await exit;
    await rm(folder, { recursive: true, force: true });
  };
  const deadline = Date.now() + patience;
  while (ended === undefined && Date.now() < deadline && !signal.aborted) {
    if ((registryPort === undefined || allocated !== undefined) && (await accepts(socket))) {
      return ok({ socket, ...(allocated ? { registryPort: allocated } : {}), lost: () => ended, close });
    }
    await sleep(25);
  }
  const reason = ended ?? `no connection within ${patience / 1000} s`;
  await close();
  if (signal.aborted) return fail({ kind: 'cancelled' });
  return fail({
    kind: 'engine',
    transient: true,
    message: /ENOENT/.test(reason) ? 'there is no ssh on the PATH' : `ssh can't reach the builder: ${reason}`,
    where: `ssh://${target}`,
    tried: [`ssh ${args.join(' ')}`],
    help: `try 'ssh ${endpoint.port ? `-p ${endpoint.port} ` : ''}${target} docker version' by hand: it needs a key or an agent, and a known host key`,
  });
}

function accepts(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(socket);
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', () => resolve(false));
  });
}
