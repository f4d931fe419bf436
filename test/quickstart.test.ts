// The quickstart family on real hosts: over local, ssh, tcp and TLS builders, by Docker and Buildah, to the embedded registry and to
// Debian's; read by skopeo, and pulled and run on each host.
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  answersAt,
  createLab,
  type DockerHost,
  docker,
  type Host,
  type Lab,
  labProblem,
  makeTls,
  skopeo,
} from './lab/lab.ts';
import { quickstart, splitbuild } from './lab/splitbuild.ts';

const problem = labProblem();
const images = ['base', 'tools', 'data', 'app', 'web'];
const architectures = ['amd64', '386', 'arm64'];

interface RawIndex {
  mediaType: string;
  manifests: { platform: { architecture: string; os: string } }[];
}

function rawIndex(address: string, reference: string): RawIndex {
  return JSON.parse(skopeo('inspect', '--raw', '--tls-verify=false', `docker://${address}/${reference}`)) as RawIndex;
}

/** What is published is there, for each platform, and runs on the hosts. */
function expectPublished(address: string, hosts: DockerHost[], tag: string): void {
  for (const image of images) {
    const index = rawIndex(address, `quickstart/${image}:${tag}`);
    expect(index.manifests.map(({ platform }) => `${platform.os}/${platform.architecture}`)).toEqual(
      architectures.map((architecture) => `linux/${architecture}`),
    );
    for (const architecture of architectures) {
      const config = JSON.parse(
        skopeo(
          'inspect',
          '--config',
          '--tls-verify=false',
          `docker://${address}/quickstart/${image}:${tag}-${architecture}`,
        ),
      ) as { architecture: string };
      expect(config.architecture).toBe(architecture);
    }
  }
  const machine: Record<string, string> = { amd64: 'x86_64', '386': 'i686', arm64: 'aarch64' };
  for (const host of hosts) {
    for (const architecture of architectures) {
      const name = `${address}/quickstart/app:${tag}`;
      docker(host, 'pull', '--quiet', '--platform', `linux/${architecture}`, name);
      const said = docker(host, 'run', '--rm', '--platform', `linux/${architecture}`, '--network', 'none', name);
      // A 386 image on an x86-64 kernel is told the kernel's name.
      expect(said).toMatch(new RegExp(`^app on (${machine[architecture]}|x86_64): 120000 words, 100 of them`));
      if (architecture === 'arm64') expect(said).toContain('aarch64');
      expect(said).toContain('4099 is prime');
      docker(host, 'image', 'rm', name);
    }
  }
}

describe.skipIf(problem)(`the quickstart family in the lab${problem ? ` (skipped: ${problem})` : ''}`, () => {
  let lab: Lab;
  let registryHost: Host;
  let far: Host;
  let local: DockerHost;
  let farDocker: DockerHost;
  let farTls: ReturnType<typeof makeTls>;

  beforeAll(async () => {
    execFileSync('bash', ['scripts/busybox.sh', 'examples/quickstart/base'], { stdio: 'ignore' });
    lab = createLab(1);
    registryHost = lab.host('registry');
    far = lab.host('far');
    farTls = makeTls(join(lab.folder, 'tls'), far.address);
    const insecureRegistries = [`http://${registryHost.address}:5000`, `http://${lab.address}:5000`];
    [local, farDocker] = await Promise.all([
      lab.localDocker({ insecureRegistries }),
      far.docker({ tls: farTls.server, insecureRegistries }),
      far.sshd(),
      registryHost.registry(),
    ]);
  });
  afterAll(async () => lab?.close());

  test('a local and an ssh builder publish to the embedded registry', async () => {
    const cwd = quickstart(lab.folder);
    const ran = await splitbuild(
      [
        ...['build', '--json'],
        ...['--builder', `here=unix://${local.socket}`, '--builder', `far=ssh://root@far${farDocker.socket}`],
      ],
      { cwd, env: { SPLITBUILD_SSH_CONFIG: lab.sshConfig } },
    );
    expect(ran.stderr).toBe('');
    expect(ran.code).toBe(0);
    const used = new Set(ran.events.flatMap((event) => (event.type === 'task-started' ? (event.builder ?? []) : [])));
    expect(used).toEqual(new Set(['here', 'far']));
    const emulated = ran.events.flatMap((event) =>
      event.type === 'task-started' && event.emulated ? [event.task] : [],
    );
    expect(new Set(emulated)).toEqual(new Set(images.map((image) => `build ${image} linux/arm64`)));

    const verified = await splitbuild(
      ['verify', 'quickstart/app', ...architectures.flatMap((one) => ['--platform', `linux/${one}`])],
      { cwd },
    );
    expect(verified.stdout).toBe('quickstart/app is whole: linux/amd64, linux/386, linux/arm64.\n');

    const served = spawn(
      process.execPath,
      [join(import.meta.dirname, '../dist/cli.js'), 'registry', 'serve', '--listen', `${lab.address}:5000`],
      { cwd, stdio: 'ignore' },
    );
    try {
      for (let tries = 0; tries < 100 && !(await answersAt(lab.address, 5000)); tries += 1)
        await new Promise((done) => setTimeout(done, 50));
      expectPublished(`${lab.address}:5000`, [local, farDocker], 'latest');
    } finally {
      served.kill('SIGINT');
      await new Promise((done) => served.on('exit', done));
    }
    // The engines keep no name of what was staged.
    expect(docker(local, 'image', 'ls', '--format', '{{.Repository}}')).not.toContain('quickstart');
  });

  test('tcp with TLS, and Buildah, publish to Debian’s registry', async () => {
    const address = `${registryHost.address}:5000`;
    const { ca, cert, key } = farTls.client;
    const cwd = quickstart(
      lab.folder,
      [
        `registry: "${address}"`,
        `registries: { "${address}": { plainHttp: true } }`,
        'builders:',
        `  - { name: far, endpoint: "${farDocker.tcp}", tls: { ca: "${ca}", cert: "${cert}", key: "${key}" } }`,
        '  - { name: buildah, endpoint: local, engine: buildah }',
        '',
      ].join('\n'),
    );
    const storage = join(lab.folder, 'buildah');
    mkdirSync(storage);
    writeFileSync(
      join(storage, 'storage.conf'),
      `[storage]\ndriver = "overlay"\nrunroot = "${storage}/run"\ngraphroot = "${storage}/graph"\n`,
    );
    const ran = await splitbuild(['build', '--json'], {
      cwd,
      env: { CONTAINERS_STORAGE_CONF: join(storage, 'storage.conf') },
    });
    expect(ran.stderr).toBe('');
    expect(ran.events.filter((event) => event.type === 'task-failed')).toEqual([]);
    expect(ran.code).toBe(0);
    const used = new Set(ran.events.flatMap((event) => (event.type === 'task-started' ? (event.builder ?? []) : [])));
    expect(used).toEqual(new Set(['far', 'buildah']));
    expectPublished(address, [local], 'latest');
    const inspected = await splitbuild(['inspect', '--plain-http', '--json', `${address}/quickstart/web`], { cwd });
    expect(JSON.parse(inspected.stdout)).toMatchObject({
      platforms: [{ platform: { architecture: 'amd64' } }, {}, {}],
    });
  });
});
