// The machines of the fault lab: three hosts with an engine each, a fourth with Debian's registry, the proxy before it, and the folder of
// the family with its state on a small disk of its own. They live on over all schedules.
import { execFile, execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { createRegistryClient, type RegistryClient } from '../../src/registry/client.ts';
import { anonymous } from '../../src/registry/credentials.ts';
import { answersAt, createLab, type DockerHost, type Host, type Lab, type Service } from '../lab/lab.ts';
import { type FamilyBuilder, writeFamily } from './family.ts';
import { type FaultProxy, startFaultProxy } from './proxy.ts';
import { type AnyHost, type EngineHost, engineHosts } from './schedule.ts';

const run = promisify(execFile);

export interface Rig {
  lab: Lab;
  hosts: Record<AnyHost, Host>;
  engines: Record<EngineHost, DockerHost>;
  registry: Service;
  proxy: FaultProxy;
  /** The registry itself, past the proxy. */
  direct: { address: string; client: RegistryClient };
  /** Of splitbuild.yaml and the images. */
  family: string;
  state: string;
  builders: FamilyBuilder[];
  /** The value of the family's secret. */
  canary: string;
  /** Where splitbuild's temporary files lie. */
  temporary: string;
  env: Record<string, string>;
  fillDisk(): void;
  emptyDisk(): void;
  /** Waits until every engine and the registry answer. */
  ready(): Promise<void>;
  /** Removes what the engines keep of earlier schedules. */
  prune(): Promise<void>;
  close(): Promise<void>;
}

export async function openRig(options: { subnet: number; busybox: string; canary: string }): Promise<Rig> {
  const lab = createLab(options.subnet);
  try {
    return await furnish(lab, options);
  } catch (error) {
    await lab.close();
    throw error;
  }
}

async function furnish(lab: Lab, { busybox, canary }: { busybox: string; canary: string }): Promise<Rig> {
  const hosts = {
    one: lab.host('one'),
    two: lab.host('two'),
    three: lab.host('three'),
    registry: lab.host('registry'),
  };
  const proxy = await startFaultProxy({
    listen: { host: lab.address, port: 5051 },
    target: { host: hosts.registry.address, port: 5000 },
    words: [canary],
  });
  const docker = { tcp: true, insecureRegistries: [`http://${proxy.address}`] };
  const [one, two, three, registry] = await Promise.all([
    hosts.one.docker(docker),
    hosts.two.docker(docker),
    hosts.three.docker(docker),
    hosts.registry.registry(),
    hosts.one.sshd(),
  ]);
  const engines = { one, two, three };
  const family = join(lab.folder, 'family');
  const state = join(family, '.splitbuild');
  mkdirSync(state, { recursive: true });
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16m', 'tmpfs', state]);
  writeFamily(family, busybox);
  const filler = join(state, 'filler');
  const temporary = join(lab.folder, 'tmp');
  mkdirSync(temporary);

  async function ready(): Promise<void> {
    const doors = [
      ...engineHosts.map((name) => [hosts[name].address, 2375] as const),
      [hosts.registry.address, 5000] as const,
    ];
    for (const [address, port] of doors) {
      for (let tries = 0; !(await answersAt(address, port)); tries += 1) {
        if (tries > 100) throw new Error(`${address}:${port} does not answer, though no fault is left`);
        await sleep(100);
      }
    }
    for (const name of engineHosts)
      await run('docker', ['--host', `unix://${engines[name].socket}`, 'version'], { timeout: 30_000 });
  }

  return {
    lab,
    hosts,
    engines,
    registry,
    proxy,
    direct: {
      address: `${hosts.registry.address}:5000`,
      client: createRegistryClient({ plainHttp: () => true, credentials: anonymous }),
    },
    family,
    state,
    builders: [
      { name: 'one', endpoint: `ssh://root@one${engines.one.socket}` },
      { name: 'two', endpoint: engines.two.tcp },
      { name: 'three', endpoint: engines.three.tcp },
    ],
    canary,
    temporary,
    env: { SPLITBUILD_SSH_CONFIG: lab.sshConfig, TMPDIR: temporary },
    fillDisk() {
      const file = openSync(filler, 'a');
      try {
        for (const size of [65_536, 4096, 1]) fill(file, size);
      } finally {
        closeSync(file);
      }
    },
    emptyDisk: () => rmSync(filler, { force: true }),
    ready,
    async prune() {
      await Promise.all(
        engineHosts.flatMap((name) => {
          const docker = ['--host', `unix://${engines[name].socket}`];
          return [
            run('docker', [...docker, 'image', 'prune', '--all', '--force']),
            run('docker', [...docker, 'builder', 'prune', '--all', '--force']),
          ];
        }),
      );
    },
    async close() {
      await proxy.close();
      await lab.close();
    },
  };
}

/** Writes until the disk takes no more pieces of this size. */
function fill(file: number, size: number): void {
  const piece = Buffer.alloc(size);
  try {
    while (writeSync(file, piece) === size);
  } catch {
    // it is full
  }
}
