// The registry that all are measured with. Distribution 3 as Go builds it today where it can be had: Debian's is built with a Go of years ago,
// and its own work on each request would be a good part of what is measured.
// `registry.ts FOLDER PORT` runs one until it is ended, and prints which it is.
import { spawn } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '../src/registry/testing.ts';
import { goProgram, systemProgram } from './peers.ts';

export interface Registry {
  /** `127.0.0.1:port`. */
  address: string;
  /** `distribution v3.0.0`, or Debian's `docker-registry 2.8.2`. */
  name: string;
  stop(): Promise<void>;
}

/** On loopback, at `port` or a free one, its data below `folder`, which is made. */
export async function startRegistry(folder: string, { port }: { port?: number } = {}): Promise<Registry> {
  const { path, name } = program();
  const address = `127.0.0.1:${port ?? (await freePort())}`;
  const file = join(folder, 'config.yml');
  await mkdir(folder, { recursive: true });
  const config = {
    version: '0.1',
    log: { level: 'error', accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: join(folder, 'data') }, delete: { enabled: true } },
    http: { addr: address },
  };
  // JSON is YAML.
  await writeFile(file, JSON.stringify(config));
  // Distribution 3 otherwise looks for somebody to send traces to.
  const env = { ...process.env, OTEL_TRACES_EXPORTER: 'none' };
  const child = spawn(path, ['serve', file], { stdio: 'ignore', env });
  const ended = new Promise<void>((done) => {
    child.once('exit', () => done());
    child.once('error', () => done());
  });
  const stop = async (): Promise<void> => {
    child.kill();
    await ended;
  };
  for (let tries = 0; tries < 200 && child.exitCode === null; tries += 1) {
    const up = await fetch(`http://${address}/v2/`).then(
      (response) => response.ok,
      () => false,
    );
    // One that ended could not have its port: somebody else answered.
    if (up && child.exitCode === null) return { address, name, stop };
    await delay(50);
  }
  await stop();
  throw new Error(`${name} did not start at ${address}`);
}

function program(): { path: string; name: string } {
  const distribution = goProgram('registry');
  if (distribution.path !== undefined) {
    return { path: distribution.path, name: `distribution ${distribution.version}` };
  }
  const debians = systemProgram('docker-registry');
  if (debians.path !== undefined) return { path: debians.path, name: `docker-registry ${debians.version}` };
  throw new Error(`no registry to measure with: ${distribution.absent}, and Debian's docker-registry is not installed`);
}

if (import.meta.main) {
  const [folder, port] = process.argv.slice(2);
  if (folder === undefined || port === undefined) throw new Error('registry.ts FOLDER PORT');
  const registry = await startRegistry(folder, { port: Number(port) });
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void registry.stop());
  process.stdout.write(`${registry.name}\n`);
}
