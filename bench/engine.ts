// A Docker Engine of the benchmark's own: its folders are below the given one, it has no network, and it ends with the benchmark.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

export type Engine = { host: string; version: string; stop(): Promise<void> } | { absent: string };

export async function startEngine(folder: string): Promise<Engine> {
  if (process.platform !== 'linux' || process.getuid?.() !== 0)
    return { absent: 'an engine of its own needs Linux and root' };
  const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` };
  if (spawnSync('dockerd', ['--version'], { env }).status !== 0) return { absent: 'dockerd is not installed' };
  await mkdir(folder, { recursive: true });
  const socket = join(folder, 's');
  const args = [
    '--data-root',
    join(folder, 'data'),
    '--exec-root',
    join(folder, 'exec'),
    '--pidfile',
    join(folder, 'pid'),
  ];
  const child = spawn('dockerd', [...args, '--host', `unix://${socket}`, '--bridge', 'none', '--iptables=false'], {
    env,
    stdio: 'ignore',
  });
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  const host = `unix://${socket}`;
  for (let tries = 0; tries < 300 && child.exitCode === null; tries += 1) {
    const asked = existsSync(socket)
      ? spawnSync('docker', ['--host', host, 'version', '--format', '{{.Server.Version}}'], { encoding: 'utf8' })
      : undefined;
    if (asked?.status === 0) {
      return {
        host,
        version: asked.stdout.trim(),
        stop: async () => {
          child.kill();
          await ended;
        },
      };
    }
    await delay(100);
  }
  child.kill();
  await ended;
  return { absent: 'dockerd did not start' };
}
