// HySDS's emitted pipeline, run for real: stand-ins for its repositories, its develop and release workflows rehearsed on three engines
// against Debian's registry; the tags, the joined images, the exported files and the uploads are looked at.
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createLab, type DockerHost, docker, type Lab, labProblem, skopeo } from './lab/lab.ts';
import { splitbuild } from './lab/splitbuild.ts';

const problem = labProblem();
const families = ['base', 'dev', 'cuda-base', 'cuda-dev', 'pge-base', 'verdi', 'cuda-pge-base', 'redis', 'rabbitmq'];
const components = ['mozart', 'metrics', 'grq', 'cont_int'];

/** Files of each stand-in; every one has a busybox for each architecture. */
const repositories: Record<string, { branch: string; files: Record<string, string> }> = {
  'puppet-redis': {
    branch: 'master',
    files: {
      'docker/Dockerfile':
        'ARG ORG\nARG BRANCH\nFROM scratch\nARG TARGETARCH\nCOPY busybox-${TARGETARCH} /bin/busybox\n',
    },
  },
  rabbitmq: {
    branch: 'develop',
    files: { 'docker/Dockerfile': 'FROM scratch\nARG TARGETARCH\nCOPY busybox-${TARGETARCH} /bin/busybox\n' },
  },
  'puppet-hysds_base': {
    branch: 'develop',
    files: {
      'docker/Dockerfile':
        'FROM scratch\nARG TARGETARCH\nCOPY busybox-${TARGETARCH} /bin/busybox\nCOPY busybox-${TARGETARCH} /bin/sh\nARG ORG\nARG BRANCH\nRUN /bin/busybox uname -m > /made-on\nCMD ["/bin/busybox", "cat", "/made-on"]\n',
      'docker/Dockerfile.cuda': 'ARG TAG=latest\nARG ORG\nFROM ${ORG}/base:${TAG}\nRUN echo cuda > /cuda\n',
    },
  },
  'puppet-hysds_dev': {
    branch: 'develop',
    files: {
      'docker/Dockerfile': 'ARG TAG=latest\nARG ORG\nFROM ${ORG}/base:${TAG}\nRUN echo dev > /dev-tools\n',
      'docker/Dockerfile.cuda':
        'ARG TAG=latest\nARG ORG\nFROM ${ORG}/cuda-base:${TAG}\nRUN echo cuda-dev > /dev-tools\n',
    },
  },
  'puppet-verdi': {
    branch: 'docker',
    files: {
      // TAG ORG PUPPET_BRANCH FRAMEWORK_BRANCH RELEASE BASE_TAG BASE_BRANCH
      'build_docker.sh':
        '#!/bin/sh\nset -e\ndocker build -f docker/Dockerfile.pge-base --build-arg TAG=$6 --build-arg ORG=$2 --build-arg RELEASE=$5 -t $2/pge-base:$1 .\ndocker build -f docker/Dockerfile.verdi --build-arg TAG=$1 --build-arg ORG=$2 -t $2/verdi:$1 .\n',
      'build_docker_cuda.sh':
        '#!/bin/sh\nset -e\ndocker build -f docker/Dockerfile.cuda --build-arg TAG=$6 --build-arg ORG=$2 -t $2/cuda-pge-base:$1 .\n',
      'docker/Dockerfile.pge-base':
        'ARG TAG\nARG ORG\nFROM ${ORG}/dev:${TAG}\nARG RELEASE\nRUN echo $RELEASE > /release\n',
      'docker/Dockerfile.verdi': 'ARG TAG\nARG ORG\nFROM ${ORG}/pge-base:${TAG}\nRUN echo verdi > /verdi\n',
      'docker/Dockerfile.cuda': 'ARG TAG\nARG ORG\nFROM ${ORG}/cuda-dev:${TAG}\nRUN echo pge > /pge\n',
    },
  },
  ...Object.fromEntries(
    components.map((name) => [
      `puppet-${name}`,
      {
        branch: 'docker',
        files: {
          'build_docker.sh': `#!/bin/sh\nset -e\ndocker build -f docker/Dockerfile --build-arg TAG=$6 --build-arg ORG=$2 -t $2/${name}:$1 .\n`,
          'docker/Dockerfile': `ARG TAG\nARG ORG\nFROM \${ORG}/dev:\${TAG}\nRUN echo ${name} > /component\n`,
        },
      },
    ]),
  ),
};

describe.skipIf(problem)(`HySDS, rehearsed${problem ? ` (skipped: ${problem})` : ''}`, () => {
  let lab: Lab;
  let amd: DockerHost;
  let arm: DockerHost;
  let large: DockerHost;
  let address: string;
  let cwd: string;
  let uploads: string;
  let env: Record<string, string>;

  beforeAll(async () => {
    execFileSync('bash', ['scripts/busybox.sh', 'examples/quickstart/base'], { stdio: 'ignore' });
    lab = createLab(4);
    const registryHost = lab.host('registry');
    address = `${registryHost.address}:5000`;
    const options = { insecureRegistries: [`http://${address}`] };
    [amd, arm, large] = await Promise.all([
      lab.host('amd').docker(options),
      lab.host('arm').docker(options),
      lab.host('large').docker(options),
      registryHost.registry(),
    ]);
    const git = makeRepositories(join(lab.folder, 'git/hysds'));
    mirrored('elasticsearch:7.9.3', ['amd64', 'arm64']);
    for (const name of [
      'registry:2',
      'hysds/logstash:7.13.1',
      'opensearchproject/logstash-oss-with-opensearch-output-plugin:7.16.3',
    ])
      mirrored(name, ['amd64', 'arm64']);
    for (const name of ['hysds/verdi-es1:develop', 'hysds/logstash:7.1.1', 'hysds/logstash:7.9.3'])
      mirrored(name, ['amd64']);

    cwd = mkdtempSync(join(lab.folder, 'framework-'));
    const config = readFileSync('examples/hysds/splitbuild.yaml', 'utf8')
      .replace('docker.io/elasticsearch:7.9.3', `${address}/elasticsearch:7.9.3`)
      .replace('image: "hysds/verdi:develop-es1"', `image: "${address}/hysds/verdi-es1:develop"`)
      .replace(/image: "(registry:2|hysds\/logstash:[\d.]+|opensearchproject\/[^"]+)"/g, `image: "${address}/$1"`);
    writeFileSync(
      join(cwd, 'splitbuild.yaml'),
      `${config}\nregistry: "${address}"\nregistries: { "${address}": { plainHttp: true } }\n`,
    );
    // What the pipeline clones from GitHub comes from the stand-ins, by git's own means.
    const redirect = {
      GIT_CONFIG_COUNT: '2',
      GIT_CONFIG_KEY_0: `url.file://${git}/.insteadOf`,
      GIT_CONFIG_VALUE_0: 'https://github.com/hysds/',
      GIT_CONFIG_KEY_1: `url.file://${git}/.insteadOf`,
      GIT_CONFIG_VALUE_1: 'https://github.com/emulated/',
    };
    writeFileSync(
      join(cwd, 'contexts.yml'),
      JSON.stringify({ 'docker-hub-creds': redirect, 'git-oauth-token': { GIT_OAUTH_TOKEN: 'canary-token' } }),
    );
    execFileSync('git', ['init', '--quiet', cwd]);
    // gh as it is called, with the files that it would upload.
    uploads = join(lab.folder, 'uploads');
    mkdirSync(uploads);
    const bin = join(lab.folder, 'bin');
    mkdirSync(bin);
    writeFileSync(
      join(bin, 'gh'),
      `#!/bin/sh\necho "$*" >> ${uploads}/calls\nif [ "$1 $2" = 'release upload' ]; then cp "$4" ${uploads}/; fi\n`,
    );
    chmodSync(join(bin, 'gh'), 0o755);
    env = { PATH: `${bin}:${process.env.PATH}` };
    const generated = await splitbuild(['ci', 'generate', 'circleci'], { cwd });
    expect(generated.stderr).toContain('longest chain 5');
    expect(generated.code).toBe(0);
    expect(generated.stderr).toContain('8 with --chain manifest');
    expect((await splitbuild(['ci', 'check', 'circleci', '--remote'], { cwd })).stderr).toContain(
      'as the config gives it',
    );
    // An export for a platform that an image doesn't have is found before it runs.
    const wrong = join(cwd, 'wrong.yaml');
    writeFileSync(wrong, readFileSync(join(cwd, 'splitbuild.yaml'), 'utf8').replace(', platforms: [linux/amd64]', ''));
    const refused = await splitbuild(['ci', 'check', 'circleci', '--remote', '--config', 'wrong.yaml'], { cwd });
    expect(refused.stderr).toContain('hysds/logstash:7.1.1 has no linux/arm64, only linux/amd64');
    expect(refused.code).toBe(1);
  });
  afterAll(async () => lab?.close());

  function makeRepositories(folder: string): string {
    for (const [name, { branch, files }] of Object.entries(repositories)) {
      const path = join(folder, `${name}.git`);
      mkdirSync(join(path, 'docker'), { recursive: true });
      for (const [file, text] of Object.entries(files)) {
        writeFileSync(join(path, file), text);
        if (file.endsWith('.sh')) chmodSync(join(path, file), 0o755);
      }
      if (Object.values(files).some((text) => text.includes('busybox-'))) {
        for (const arch of ['amd64', 'arm64'])
          copyFileSync(`examples/quickstart/base/busybox-${arch}`, join(path, `busybox-${arch}`));
      }
      const git = (...args: string[]) =>
        execFileSync('git', ['-C', path, '-c', 'user.name=t', '-c', 'user.email=t@example.org', ...args], {
          stdio: 'ignore',
        });
      git('init', '--quiet', '--initial-branch', branch);
      git('add', '.');
      git('commit', '--quiet', '--message', 'stand-in');
    }
    return folder;
  }

  /** An image of somebody else in the registry. */
  function mirrored(name: string, architectures: string[]): void {
    const tags = architectures.map((arch) => {
      const tag = `${address}/${name}-${arch}`;
      const folder = mkdtempSync(join(lab.folder, 'other-'));
      writeFileSync(join(folder, 'Dockerfile'), 'FROM scratch\nCOPY Dockerfile /\n');
      execFileSync(
        'docker',
        ['--host', `unix://${amd.socket}`, 'build', '--quiet', '--platform', `linux/${arch}`, '--tag', tag, folder],
        { stdio: 'ignore', env: { ...process.env, PATH: `/usr/bin:${process.env.PATH}`, DOCKER_BUILDKIT: '1' } },
      );
      docker(amd, 'push', '--quiet', tag);
      return tag;
    });
    const manifest = (...args: string[]) =>
      execFileSync('docker', ['manifest', ...args], {
        stdio: 'ignore',
        env: { ...process.env, DOCKER_CLI_EXPERIMENTAL: 'enabled', DOCKER_CONFIG: join(lab.folder, 'docker-config') },
      });
    manifest('create', '--insecure', `${address}/${name}`, ...tags);
    manifest('push', '--insecure', '--purge', `${address}/${name}`);
  }

  async function rehearse(workflow: string, ref: string[]) {
    return splitbuild(
      [
        ...[
          'ci',
          'rehearse',
          '.circleci/config.yml',
          workflow,
          ...ref,
          '--contexts',
          'contexts.yml',
          '--allow-gh',
          '--jobs',
          '4',
        ],
        ...[
          '--builder',
          `default=unix://${amd.socket}`,
          '--builder',
          `arm.medium=unix://${arm.socket}`,
          '--builder',
          `large=unix://${large.socket}`,
        ],
      ],
      { cwd, env },
    );
  }

  function tagsOf(repository: string): string[] {
    return (
      JSON.parse(skopeo('list-tags', '--tls-verify=false', `docker://${address}/${repository}`)) as { Tags: string[] }
    ).Tags.filter((tag) => !tag.startsWith('run-')).sort();
  }

  async function expectPublished(images: string[], tags: string[]): Promise<void> {
    for (const image of images) {
      const suffixes = ['elasticsearch', 'redis', 'rabbitmq'].includes(image) ? [''] : ['', '-amd64', '-arm64'];
      expect(tagsOf(`hysds/${image}`), image).toEqual(
        expect.arrayContaining(tags.flatMap((tag) => suffixes.map((suffix) => tag + suffix))),
      );
      const verified = await splitbuild(
        [
          'verify',
          '--plain-http',
          `${address}/hysds/${image}:${tags[0]}`,
          '--platform',
          'linux/amd64',
          '--platform',
          'linux/arm64',
        ],
        { cwd },
      );
      expect(verified.stderr + verified.stdout).toContain('is whole: linux/amd64, linux/arm64');
    }
  }

  /** Architecture and tag of the image in an exported file. */
  function loaded(file: string): { tag: string; architecture: string } {
    const said = execFileSync(
      'docker',
      ['--host', `unix://${amd.socket}`, 'load', '--quiet', '--input', join(uploads, file)],
      { encoding: 'utf8' },
    );
    const tag = /Loaded image: (\S+)/.exec(said)?.[1] ?? '';
    return { tag, architecture: docker(amd, 'image', 'inspect', '--format', '{{.Architecture}}', tag).trim() };
  }

  test('develop: every image for both platforms under develop, the component images off, verdi exported and uploaded', async () => {
    const ran = await rehearse('build-deploy-develop', ['--branch', 'develop']);
    expect(ran.code, `${ran.stdout}\n${ran.stderr}`.slice(-6000)).toBe(0);
    expect(ran.stdout + ran.stderr).not.toContain('canary-token');
    await expectPublished([...families, 'elasticsearch'], ['develop']);
    expect(() => tagsOf('hysds/mozart')).toThrow();
    expect(tagsOf('hysds/redis')).toEqual(['develop']);
    expect(loaded('hysds-verdi-develop.tar.gz')).toEqual({ tag: 'hysds/verdi:develop', architecture: 'amd64' });
    expect(loaded('hysds-verdi-develop-arm64.tar.gz')).toEqual({
      tag: 'hysds/verdi:develop-arm64',
      architecture: 'arm64',
    });
    const calls = readFileSync(join(uploads, 'calls'), 'utf8');
    expect(calls).toContain(
      'release upload develop images/hysds-verdi-develop.tar.gz --repo hysds/hysds-framework --clobber',
    );
    // What was built for arm64 was built on arm64 (emulated here), all the way up.
    docker(arm, 'pull', '--quiet', '--platform', 'linux/arm64', `${address}/hysds/verdi:develop`);
    expect(
      docker(arm, 'run', '--rm', '--platform', 'linux/arm64', '--network', 'none', `${address}/hysds/verdi:develop`),
    ).toContain('aarch64');
  });

  test('release: the git tag and latest, all images on, support assets saved and uploaded', async () => {
    const ran = await rehearse('build-deploy-release', ['--tag', 'v6.0.0']);
    expect(ran.code, `${ran.stdout}\n${ran.stderr}`.slice(-6000)).toBe(0);
    await expectPublished([...families, ...components, 'elasticsearch'], ['v6.0.0', 'latest']);
    expect(loaded('hysds-verdi-v6.0.0.tar.gz')).toEqual({ tag: 'hysds/verdi:v6.0.0', architecture: 'amd64' });
    expect(loaded('hysds-verdi-latest-arm64.tar.gz')).toEqual({
      tag: 'hysds/verdi:latest-arm64',
      architecture: 'arm64',
    });
    const files = readdirSync(uploads)
      .filter((name) => !name.startsWith('hysds-verdi-'))
      .sort();
    expect(files).toEqual(
      [
        'calls',
        'docker-registry-2-arm64.tar.gz',
        'docker-registry-2.tar.gz',
        'logstash-7.1.1.tar.gz',
        'logstash-7.13.1-arm64.tar.gz',
        'logstash-7.13.1.tar.gz',
        'logstash-7.9.3.tar.gz',
        'logstash-oss-7.16.3-arm64.tar.gz',
        'logstash-oss-7.16.3.tar.gz',
      ].sort(),
    );
    expect(existsSync(join(uploads, 'hysds-verdi-develop-es1.tar.gz'))).toBe(true);
    expect(loaded('logstash-oss-7.16.3-arm64.tar.gz')).toEqual({ tag: 'logstash-oss:7.16.3', architecture: 'arm64' });
    // The script got the release, as the workflow's variable says.
    docker(amd, 'pull', '--quiet', `${address}/hysds/pge-base:v6.0.0-amd64`);
    expect(
      docker(
        amd,
        'run',
        '--rm',
        '--network',
        'none',
        `${address}/hysds/pge-base:v6.0.0-amd64`,
        '/bin/busybox',
        'cat',
        '/release',
      ),
    ).toBe('v6.0.0\n');
  });

  test('with --mode emulated, the way back: single jobs on the large machine, both platforms, no arch tags', async () => {
    const emulated = await splitbuild(['ci', 'generate', 'circleci', '--mode', 'emulated', '--set', 'org=emulated'], {
      cwd,
    });
    expect(emulated.code, emulated.stderr).toBe(0);
    const ran = await rehearse('build-deploy-develop', ['--branch', 'develop']);
    expect(ran.code, `${ran.stdout}\n${ran.stderr}`.slice(-6000)).toBe(0);
    for (const image of ['base', 'cuda-dev', 'pge-base', 'verdi']) {
      expect(tagsOf(`emulated/${image}`)).toEqual(['develop']);
      const name = `${address}/emulated/${image}:develop`;
      const verified = await splitbuild(
        ['verify', '--plain-http', name, '--platform', 'linux/amd64', '--platform', 'linux/arm64'],
        { cwd },
      );
      expect(verified.stdout, verified.stderr).toContain('is whole');
    }
  });
});
