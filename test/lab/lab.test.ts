// The lab itself: a host that is stopped, killed, frozen, cut off or slowed is so, and comes back.
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { createBuildahEngine } from '../../src/engine/buildah.ts';
import { createDockerEngine } from '../../src/engine/docker.ts';
import type { Engine } from '../../src/engine/engine.ts';
import { openAbilities } from '../../src/fleet/abilities.ts';
import { openFleet } from '../../src/fleet/fleet.ts';
import { answersAt, createLab, type DockerHost, type Host, type Lab, labProblem, type Service, skopeo } from './lab.ts';

const problem = labProblem();
const signal = new AbortController().signal;

describe.skipIf(problem)(`the lab${problem ? ` (skipped: ${problem})` : ''}`, () => {
  let lab: Lab;
  let host: Host;
  let engineHost: DockerHost;
  let registry: Service;

  beforeAll(async () => {
    execFileSync('bash', ['scripts/busybox.sh', 'examples/quickstart/base'], { stdio: 'ignore' });
    lab = createLab(3);
    host = lab.host('one');
    [engineHost, registry] = await Promise.all([host.docker({ tcp: true }), host.registry()]);
  });
  afterAll(async () => lab?.close());

  /** Whether the engine answers within 3 s over the network. */
  async function answers(): Promise<boolean> {
    const engine = createDockerEngine({
      connection: { kind: 'host', address: engineHost.tcp },
      endpoint: engineHost.tcp,
      env: process.env,
    });
    return (await engine.probe(AbortSignal.timeout(3000))).ok;
  }

  test('stopped and killed services are gone until they are started', async () => {
    expect(await answersAt(host.address, 5000)).toBe(true);
    await registry.stop();
    expect(await answersAt(host.address, 5000)).toBe(false);
    await registry.start();
    await registry.kill();
    expect(await answersAt(host.address, 5000)).toBe(false);
    await registry.start();
    expect(await answersAt(host.address, 5000)).toBe(true);
  });

  test('a paused engine takes connections and does not answer; cut off, it takes none', async () => {
    expect(await answers()).toBe(true);
    engineHost.pause();
    expect(await answersAt(host.address, 2375)).toBe(true);
    expect(await answers()).toBe(false);
    engineHost.resume();
    expect(await answers()).toBe(true);
    host.cut();
    expect(await answersAt(host.address, 2375)).toBe(false);
    host.restore();
    // A bridge takes a moment to forward for a port that is up again.
    await expect.poll(() => answersAt(host.address, 2375), { timeout: 20_000 }).toBe(true);
  });

  test('a slowed host is slower, and as fast as before when it is not any more', async () => {
    const timed = (): number => {
      const started = performance.now();
      skopeo(
        'copy',
        '--quiet',
        '--dest-tls-verify=false',
        `dir:${join(lab.folder, 'image')}`,
        `docker://${host.address}:5000/t/x:${Date.now()}`,
      );
      return performance.now() - started;
    };
    const pushed = (size: number): void => {
      // An image whose one layer is random, so that it can't be compressed away.
      const folder = join(lab.folder, 'layer');
      mkdirSync(folder, { recursive: true });
      execFileSync('dd', ['if=/dev/urandom', `of=${folder}/file`, 'bs=1024', `count=${size}`], { stdio: 'ignore' });
      execFileSync('tar', ['-cf', join(lab.folder, 'image.tar'), '-C', folder, 'file']);
      skopeo('copy', '--quiet', `tarball:${join(lab.folder, 'image.tar')}`, `dir:${join(lab.folder, 'image')}`);
    };
    pushed(500);
    const before = timed();
    pushed(500);
    host.slow(1000); // 500 kB at 1 Mbit/s: four seconds
    const slow = timed();
    host.slow(0);
    pushed(500);
    const after = timed();
    expect(slow).toBeGreaterThan(3 * before);
    expect(slow).toBeGreaterThan(3 * after);
  });

  test.each(['docker', 'buildah'])(
    '%s exports an image that it built as an archive that skopeo reads',
    async (name) => {
      const storage = join(lab.folder, 'buildah.conf');
      writeFileSync(
        storage,
        `[storage]\ndriver = "overlay"\nrunroot = "${lab.folder}/b/run"\ngraphroot = "${lab.folder}/b/graph"\n`,
      );
      const env = { ...process.env, CONTAINERS_STORAGE_CONF: storage };
      const engine: Engine =
        name === 'docker'
          ? createDockerEngine({
              connection: { kind: 'host', address: `unix://${engineHost.socket}` },
              endpoint: name,
              env,
            })
          : createBuildahEngine({ endpoint: name, env });
      const context = join(lab.folder, `context-${name}`);
      mkdirSync(context);
      writeFileSync(join(context, 'Dockerfile'), 'FROM scratch\nLABEL made=here\nCOPY Dockerfile /\n');
      const reference = 'localhost/export:1';
      const lines: string[] = [];
      const built = await engine.build(
        {
          context,
          dockerfile: 'FROM scratch\nLABEL made=here\nCOPY Dockerfile /\n',
          platform: { os: 'linux', architecture: 'arm64' },
          args: {},
          secrets: {},
          reference,
          plainHttp: false,
        },
        (line) => lines.push(line),
        signal,
      );
      expect(built, lines.join('\n')).toEqual({ ok: true, value: undefined });
      expect(lines.join('\n')).toContain('COPY Dockerfile');
      const file = join(lab.folder, `${name}.tar`);
      expect(await engine.export(reference, file, signal)).toMatchObject({ ok: true });
      const config = JSON.parse(skopeo('inspect', '--config', `docker-archive:${file}`)) as {
        architecture: string;
        config: { Labels: object };
      };
      expect(config).toMatchObject({ architecture: 'arm64', config: { Labels: { made: 'here' } } });
      expect(await engine.untag([reference], signal)).toMatchObject({ ok: true });
      expect(await engine.export(reference, file, signal)).toMatchObject({ ok: false, failure: { kind: 'engine' } });
    },
  );

  test('a machine runs what it is native for, what is kin to it, and what is emulated here, and no more', async () => {
    const engine = createDockerEngine({
      connection: { kind: 'host', address: `unix://${engineHost.socket}` },
      endpoint: 'x',
      env: process.env,
    });
    const able = async (architecture: string): Promise<unknown> => {
      const result = await engine.canRun({ os: 'linux', architecture }, signal);
      return result.ok ? result.value : result.failure;
    };
    expect(await able('amd64')).toBe(true);
    expect(await able('arm64')).toBe(true);
    expect(await able('mips')).toBe(false);
    if (process.arch === 'x64') expect(await able('386')).toBe(true);
    expect(await able('s390x')).toBe(false);
  });

  test.skipIf(process.arch !== 'x64')('what is kin to it is tried once a day, and not by each run', async () => {
    const i386 = { os: 'linux', architecture: '386' };
    const tried: string[] = [];
    const open = async (): Promise<void> => {
      const abilities = openAbilities(join(lab.folder, 'abilities.json'), systemClock);
      const fleet = await openFleet(
        [{ name: 'kin', endpoint: `unix://${engineHost.socket}`, engine: 'docker' }],
        {
          registry: { address: 'r.example' },
          wanted: [{ platform: i386, mode: 'native' }],
          env: process.env,
          abilities: {
            known: abilities.known,
            async keep(machine, platform) {
              tried.push(platform.architecture);
              await abilities.keep(machine, platform);
            },
          },
        },
        signal,
      );
      expect(fleet).toMatchObject({ ok: true, value: { builders: [{ native: [i386], emulated: [] }] } });
      if (fleet.ok) await fleet.value.close();
    };
    await open();
    await open();
    expect(tried).toEqual(['386']);
  });
});
