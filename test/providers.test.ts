// A small family's pipeline, as each provider's own runner runs it: GitHub's by act, GitLab's by gitlab-ci-local, CircleCI's by the rehearsal
// (and there with splitbuild's own steps as well), on a real engine and registry.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { publishImages } from '../src/emit/scripts.ts';
import { startEmbeddedRegistry } from '../src/registry/embedded.ts';
import { createLab, type DockerHost, type Host, type Lab, labProblem, type Service, skopeo } from './lab/lab.ts';
import { splitbuild } from './lab/splitbuild.ts';

const problem = labProblem();
const root = join(import.meta.dirname, '..');
const act = [
  join(root, '.cache/bin/act'),
  ...(process.env.PATH ?? '').split(':').map((folder) => join(folder, 'act')),
].find((path) => existsSync(path));

const buildx = [join(root, '.cache/bin/buildx')].find((path) => existsSync(path));

/** Without holding up this process, which serves the registry. */
function run(
  program: string,
  args: string[],
  env: Record<string, string>,
): Promise<{ code: number | null; said: string }> {
  return new Promise((resolve) => {
    const child = spawn(program, args, { env });
    let said = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (said += String(chunk)));
    child.on('close', (code) => resolve({ code, said }));
  });
}

describe.skipIf(problem)(`pipelines in their providers' runners${problem ? ` (skipped: ${problem})` : ''}`, () => {
  let lab: Lab;
  let engine: DockerHost;
  let registryHost: Host;
  let registry: Service;
  let address: string;
  let bin: string;

  beforeAll(async () => {
    execFileSync('bash', ['scripts/busybox.sh', 'examples/quickstart/base'], { stdio: 'ignore' });
    lab = createLab(6);
    registryHost = lab.host('registry');
    address = `${registryHost.address}:5000`;
    [engine, registry] = await Promise.all([
      lab.host('engine').docker({ insecureRegistries: [`http://${address}`] }),
      registryHost.registry(),
    ]);
    bin = join(lab.folder, 'bin');
    mkdirSync(bin);
    // The docker client that can build comes first, and what npx would fetch is the one under test.
    symlinkSync('/usr/bin/docker', join(bin, 'docker'));
    writeFileSync(join(bin, 'npx'), `#!/bin/sh\nshift 2\nexec ${process.execPath} ${root}/dist/cli.js "$@"\n`);
    chmodSync(join(bin, 'npx'), 0o755);
  });
  afterAll(async () => lab?.close());

  /** A repository with a family of two, one built on the other, that publishes under a tag of its own. */
  function repository(
    tag: string,
    app = 'FROM s/base:TAG\nARG MESSAGE\nRUN /bin/busybox sh -c "echo $MESSAGE > /message"\n',
  ): string {
    const folder = mkdtempSync(join(lab.folder, 'repository-'));
    for (const name of ['base', 'app']) mkdirSync(join(folder, name));
    writeFileSync(
      join(folder, 'base/Dockerfile'),
      'FROM scratch\nARG TARGETARCH\nCOPY busybox-${TARGETARCH} /bin/busybox\nCOPY busybox-${TARGETARCH} /bin/sh\n',
    );
    for (const arch of ['amd64', 'arm64'])
      copyFileSync(join(root, `examples/quickstart/base/busybox-${arch}`), join(folder, `base/busybox-${arch}`));
    writeFileSync(join(folder, 'app/Dockerfile'), app.replace('TAG', tag));
    writeFileSync(
      join(folder, 'splitbuild.yaml'),
      [
        'version: 1',
        'family: small',
        'platforms: [linux/amd64, linux/arm64]',
        'mode: native',
        `registry: "${address}"`,
        `registries: { "${address}": { plainHttp: true } }`,
        'images:',
        '  base: { repository: s/base, source: ./base }',
        '  app: { repository: s/app, source: ./app, args: { MESSAGE: "${tag} for ${platform}" } }',
        `workflows: { main: { on: { branch: main }, tags: [${tag}] } }`,
        'ci: { github: { runners: { linux/arm64: ubuntu-24.04 } } }',
        '',
      ].join('\n'),
    );
    return folder;
  }

  function commit(folder: string): void {
    const git = (...args: string[]) =>
      execFileSync('git', ['-C', folder, '-c', 'user.name=t', '-c', 'user.email=t@example.org', ...args], {
        stdio: 'ignore',
      });
    if (!existsSync(join(folder, '.git'))) {
      git('init', '--quiet', '--initial-branch', 'main');
      git('remote', 'add', 'origin', 'https://git.example.com/t/small.git');
    }
    git('add', '.');
    git('commit', '--quiet', '--allow-empty', '--message', 'commit');
  }

  function environment(): Record<string, string> {
    return {
      ...(process.env as Record<string, string>),
      PATH: `${bin}:${join(root, 'node_modules/.bin')}:${process.env.PATH}`,
      DOCKER_HOST: `unix://${engine.socket}`,
      HOME: lab.folder,
    };
  }

  async function expectPublished(cwd: string, tag: string): Promise<void> {
    const verified = await splitbuild(
      ['verify', '--plain-http', `${address}/s/app:${tag}`, '--platform', 'linux/amd64', '--platform', 'linux/arm64'],
      { cwd },
    );
    expect(verified.stderr + verified.stdout).toContain('is whole');
    for (const arch of ['amd64', 'arm64']) {
      const config = JSON.parse(
        skopeo('inspect', '--config', '--tls-verify=false', `docker://${address}/s/app:${tag}-${arch}`),
      ) as { architecture: string; history: { created_by?: string }[] };
      expect(config.architecture).toBe(arch);
      expect(JSON.stringify(config.history)).toContain(`${tag} for linux/${arch}`);
    }
  }

  function rehearse(cwd: string) {
    return splitbuild(
      [
        'ci',
        'rehearse',
        '.circleci/config.yml',
        '--branch',
        'main',
        '--builder',
        `default=unix://${engine.socket}`,
        '--jobs',
        '1',
      ],
      { cwd, env: { PATH: `${bin}:${process.env.PATH}` } },
    );
  }

  if (act) {
    test('GitHub’s, by act', async () => {
      const cwd = repository('by-act');
      expect((await splitbuild(['ci', 'generate', 'github'], { cwd })).code).toBe(0);
      commit(cwd);
      const ran = spawnSync(
        act,
        ['push', '-P', 'ubuntu-24.04=-self-hosted', '--no-cache-server', '--concurrent-jobs', '1'],
        { cwd, env: environment(), encoding: 'utf8' },
      );
      expect(ran.status, ran.stdout + ran.stderr).toBe(0);
      await expectPublished(cwd, 'by-act');
    });
  }

  test('GitLab’s, by gitlab-ci-local', async () => {
    const cwd = repository('by-gitlab');
    expect((await splitbuild(['ci', 'generate', 'gitlab'], { cwd })).code).toBe(0);
    // The engine is here already, and not a service beside the job.
    const file = join(cwd, '.gitlab-ci.yml');
    const text = readFileSync(file, 'utf8');
    const local = text.replace(/\.docker:\n(?: .*\n)+/, '.docker:\n  image: docker:27-git\n');
    expect(local).not.toBe(text);
    writeFileSync(file, local);
    commit(cwd);
    const ran = spawnSync('gitlab-ci-local', ['--force-shell-executor', '--concurrency', '1'], {
      cwd,
      env: environment(),
      encoding: 'utf8',
    });
    expect(ran.status, ran.stdout + ran.stderr).toBe(0);
    await expectPublished(cwd, 'by-gitlab');
  });

  test('CircleCI’s, by the rehearsal; a platform that fails leaves the tag as it was, and a retry mends it', async () => {
    const cwd = repository('by-rehearsal');
    expect((await splitbuild(['ci', 'generate', 'circleci'], { cwd })).code).toBe(0);
    commit(cwd);
    expect((await rehearse(cwd)).code).toBe(0);
    await expectPublished(cwd, 'by-rehearsal');
    const digest = (): string =>
      JSON.stringify(
        JSON.parse(skopeo('inspect', '--raw', '--tls-verify=false', `docker://${address}/s/app:by-rehearsal`)),
      );
    const before = digest();
    const dockerfile = readFileSync(join(cwd, 'app/Dockerfile'), 'utf8');
    writeFileSync(
      join(cwd, 'app/Dockerfile'),
      `${dockerfile}ARG TARGETARCH\nRUN /bin/busybox sh -c "test $TARGETARCH = amd64"\n`,
    );
    commit(cwd);
    const failed = await rehearse(cwd);
    expect(failed.code).toBe(1);
    expect(failed.stdout + failed.stderr).toMatch(/build-app-manifest.*not run/);
    expect(digest()).toBe(before);
    writeFileSync(join(cwd, 'app/Dockerfile'), `${dockerfile}RUN /bin/busybox touch /mended\n`);
    commit(cwd);
    expect((await rehearse(cwd)).code).toBe(0);
    expect(digest()).not.toBe(before);
  });

  test('with --steps splitbuild, each job builds its platform and the manifest job joins them', async () => {
    const cwd = repository('by-splitbuild');
    const config = join(cwd, 'splitbuild.yaml');
    // Every job's engine is this machine's here, which has arm64 by emulation alone; the jobs are those of native machines.
    writeFileSync(config, readFileSync(config, 'utf8').replace('mode: native', 'mode: emulated'));
    const native = ['--steps', 'splitbuild', '--mode', 'native'];
    expect((await splitbuild(['ci', 'generate', 'circleci', ...native], { cwd })).code).toBe(0);
    commit(cwd);
    const ran = await rehearse(cwd);
    expect(ran.code, ran.stdout + ran.stderr).toBe(0);
    await expectPublished(cwd, 'by-splitbuild');
  });

  test.each(['circleci', 'github', 'gitlab'])(
    '%s: check passes what was generated, and shows what an edit or a changed config makes different',
    async (provider) => {
      const cwd = repository('checked');
      commit(cwd);
      expect((await splitbuild(['ci', 'check', provider], { cwd })).stderr).toContain('there is no');
      expect((await splitbuild(['ci', 'generate', provider], { cwd })).code).toBe(0);
      const clean = await splitbuild(['ci', 'check', provider], { cwd });
      expect(clean.code, clean.stdout + clean.stderr).toBe(0);
      const config = join(cwd, 'splitbuild.yaml');
      writeFileSync(config, readFileSync(config, 'utf8').replace('tags: [checked]', 'tags: [renamed]'));
      const changed = await splitbuild(['ci', 'check', provider], { cwd });
      expect(changed.code).toBe(1);
      expect(changed.stdout).toMatch(/^-.*checked/m);
      expect(changed.stdout).toMatch(/^\+.*renamed/m);
      expect(changed.stderr).toContain(`splitbuild ci generate ${provider}`);
    },
  );

  test('the join refuses platforms of different commits, and is not misled by what a broken try left behind', () => {
    const made = (repository: string, arch: string, revision: string): void => {
      const folder = mkdtempSync(join(lab.folder, 'labelled-'));
      writeFileSync(
        join(folder, 'Dockerfile'),
        `FROM scratch\nCOPY Dockerfile /\nLABEL org.opencontainers.image.revision=${revision}\n`,
      );
      const name = `${address}/s/${repository}:run-9-${arch}`;
      const env = { ...environment(), DOCKER_BUILDKIT: '1' };
      execFileSync('docker', ['build', '--quiet', '--platform', `linux/${arch}`, '--tag', name, folder], {
        env,
        stdio: 'ignore',
      });
      execFileSync('docker', ['push', '--quiet', name], { env, stdio: 'ignore' });
    };
    const joined = (repository: string) =>
      spawnSync('sh', ['-c', publishImages], {
        env: {
          ...environment(),
          IMAGES: `${address}/s/${repository}`,
          ARCHES: '-amd64 -arm64',
          FINAL_TAG: 'edge',
          BUILD_TAG: '',
          RUN_ID: '9',
          INSECURE: '--insecure',
        },
        encoding: 'utf8',
      });
    made('moved', 'amd64', 'aaaa');
    made('moved', 'arm64', 'bbbb');
    const refused = joined('moved');
    expect(refused.stderr).toContain('was built from another commit');
    expect(refused.status).not.toBe(0);
    expect(() => skopeo('inspect', '--raw', '--tls-verify=false', `docker://${address}/s/moved:edge`)).toThrow();

    made('same', 'amd64', 'aaaa');
    made('same', 'arm64', 'aaaa');
    // A try that ended between create and push, with amd64 alone.
    const env = { ...environment(), DOCKER_CLI_EXPERIMENTAL: 'enabled' };
    execFileSync(
      'docker',
      ['manifest', 'create', '--insecure', `${address}/s/same:edge`, `${address}/s/same:run-9-amd64`],
      { env, stdio: 'ignore' },
    );
    expect(joined('same').status).toBe(0);
    const index = JSON.parse(skopeo('inspect', '--raw', '--tls-verify=false', `docker://${address}/s/same:edge`)) as {
      manifests: unknown[];
    };
    expect(index.manifests).toHaveLength(2);
  });

  if (buildx) {
    test('with buildx, the join is done at the registry, arch tags stay images, and different commits are refused', async () => {
      const own = await lab.localDocker();
      const embedded = await startEmbeddedRegistry({ root: join(lab.folder, 'embedded') });
      if (!embedded.ok) throw new Error(JSON.stringify(embedded.failure));
      const at = embedded.value.address;
      const home = join(lab.folder, 'with-buildx');
      mkdirSync(join(home, '.docker/cli-plugins'), { recursive: true });
      symlinkSync(buildx, join(home, '.docker/cli-plugins/docker-buildx'));
      const env = { ...environment(), HOME: home, DOCKER_HOST: `unix://${own.socket}` };
      const made = async (repository: string, arch: string, revision: string): Promise<void> => {
        const folder = mkdtempSync(join(lab.folder, 'labelled-'));
        writeFileSync(
          join(folder, 'Dockerfile'),
          `FROM scratch\nCOPY Dockerfile /\nLABEL org.opencontainers.image.revision=${revision}\n`,
        );
        const name = `${at}/s/${repository}:run-9-${arch}`;
        const plain = { ...env, HOME: lab.folder, DOCKER_BUILDKIT: '1' };
        await run('docker', ['build', '--quiet', '--platform', `linux/${arch}`, '--tag', name, folder], plain);
        const pushed = await run('docker', ['push', '--quiet', name], plain);
        expect(pushed.code, pushed.said).toBe(0);
      };
      const joined = (repository: string) =>
        run('sh', ['-c', publishImages], {
          ...env,
          IMAGES: `${at}/s/${repository}`,
          ARCHES: '-amd64 -arm64',
          FINAL_TAG: 'edge',
          BUILD_TAG: 'v1',
          RUN_ID: '9',
          INSECURE: '',
        });
      for (const [repository, other] of [
        ['same', 'aaaa'],
        ['moved', 'bbbb'],
      ] as const) {
        await made(repository, 'amd64', 'aaaa');
        await made(repository, 'arm64', other);
      }
      const done = await joined('same');
      expect(done.code, done.said).toBe(0);
      expect(done.said).not.toContain('manifest create');
      const raw = async (tag: string): Promise<{ manifests?: unknown[] }> => {
        const seen = await run(
          'skopeo',
          ['inspect', '--raw', '--tls-verify=false', `docker://${at}/s/same:${tag}`],
          env,
        );
        return JSON.parse(seen.said) as { manifests?: unknown[] };
      };
      expect((await raw('edge')).manifests).toHaveLength(2);
      expect((await raw('v1')).manifests).toHaveLength(2);
      expect((await raw('v1-arm64')).manifests).toBeUndefined();
      const refused = await joined('moved');
      expect(refused.said).toContain('was built from another commit');
      expect(refused.code).not.toBe(0);
      await embedded.value.close();
    });
  }

  test('a registry that is away for a moment costs a job some seconds, and not the pipeline', async () => {
    const cwd = repository('by-patience');
    expect((await splitbuild(['ci', 'generate', 'circleci'], { cwd })).code).toBe(0);
    commit(cwd);
    await registry.stop();
    const back = setTimeout(() => void registry.start(), 4000);
    const ran = await rehearse(cwd);
    clearTimeout(back);
    expect(ran.code, ran.stdout + ran.stderr).toBe(0);
    await expectPublished(cwd, 'by-patience');
  });
});
