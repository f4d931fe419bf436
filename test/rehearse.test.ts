// `splitbuild ci rehearse` on pipelines written by hand: on the lab's engines and Debian's registry, and what needs no engine.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createLab, type DockerHost, docker, type Host, type Lab, labProblem, skopeo } from './lab/lab.ts';
import { splitbuild } from './lab/splitbuild.ts';

const problem = labProblem();
const folder = mkdtempSync(join(tmpdir(), 'rehearse-test-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A folder with a pipeline in it. */
function project(pipeline: string, files: Record<string, string> = {}): string {
  const cwd = mkdtempSync(join(folder, 'project-'));
  for (const [name, text] of Object.entries({ 'config.yml': pipeline, ...files })) writeFileSync(join(cwd, name), text);
  return cwd;
}

const rehearse = (cwd: string, ...args: string[]) => splitbuild(['ci', 'rehearse', 'config.yml', ...args], { cwd });

/** Events as `job type`, of the types that say how jobs went. */
function jobEvents(stdout: string): string[] {
  return stdout
    .split('\n')
    .filter(Boolean)
    .map((line): Record<string, unknown> => JSON.parse(line))
    .filter(({ type }) => type === 'job-finished' || type === 'job-skipped')
    .map(({ type, job, end }) => `${job} ${type === 'job-skipped' ? 'skipped' : end}`);
}

const small = `version: 2.1
jobs:
  write:
    docker: [ image: cimg/base:current ]
    steps:
      - checkout
      - run: mkdir -p out/sub && cat input > out/copy.txt && echo deep > out/sub/deep
      - run: echo "the secret is $TOKEN, on $CIRCLE_BRANCH$CIRCLE_TAG"
      - persist_to_workspace: { root: out, paths: ["*.txt", sub] }
  broken:
    docker: [ image: cimg/base:current ]
    steps:
      - run: { name: Break it, command: "echo before; (exit 3) | cat; echo after" }
      - run: { command: "echo always reached >&2", when: always }
      - run: echo never reached
      - store_artifacts: { path: out }
  read:
    docker: [ image: cimg/base:current ]
    steps:
      - attach_workspace: { at: ~/shared }
      - run: 'test "$(cat ~/shared/copy.txt) $(cat ~/shared/sub/deep)" = "given deep"'
      - run: circleci-agent step halt
      - run: exit 9
  upload:
    docker: [ image: cimg/base:current ]
    steps:
      - attach_workspace: { at: . }
      - run: gh release upload v1 "copy.txt#A copy" --clobber
workflows:
  all:
    jobs:
      - write: { context: tokens, filters: { tags: { only: /^v.*/ } } }
      - broken
      - read: { requires: [write] }
      - upload: { requires: [write], filters: { tags: { only: /^v.*/ } } }
      - read: { name: after-broken, requires: [broken] }
      - read: { name: after-that, requires: [after-broken] }
      - hold: { type: approval, requires: [read] }
`;
const secret = 'canary-77aa01';
const tokens = `tokens: { TOKEN: ${secret} }\n`;

describe('a rehearsal without an engine', () => {
  test('a failed job stops only what requires it; the workspace, gh and the approval work', async () => {
    const cwd = project(small, { input: 'given', 'contexts.yml': tokens });
    const ran = await rehearse(cwd, '--json', '--contexts', 'contexts.yml', '--record', 'gh.jsonl', '--branch', 'main');
    expect(ran.code).toBe(1);
    expect(jobEvents(ran.stdout).sort()).toEqual([
      'after-broken skipped',
      'after-that skipped',
      'broken failed',
      'hold success',
      'read success',
      'upload success',
      'write success',
    ]);
    expect(ran.stdout).toContain('the secret is ***, on main');
    expect(ran.stdout).toContain('"always reached"');
    expect(ran.stdout).not.toContain('never reached"');
    expect(ran.stdout + ran.stderr).not.toContain(secret);
    const [record, ...more] = readFileSync(join(cwd, 'gh.jsonl'), 'utf8').trimEnd().split('\n');
    expect(more).toEqual([]);
    const sha256 = createHash('sha256').update('given').digest('hex');
    expect(JSON.parse(record ?? '')).toMatchObject({
      job: 'upload',
      args: ['release', 'upload', 'v1', 'copy.txt#A copy', '--clobber'],
      files: [{ path: 'copy.txt', size: 5, sha256 }],
    });
    expect(readdirSync(cwd).sort()).toEqual(['config.yml', 'contexts.yml', 'gh.jsonl', 'input']);
  });

  test('for people: prefixed lines, the log of the failed step only, the longest chain', async () => {
    const cwd = project(small, { input: 'given' });
    const { code, stderr } = await rehearse(cwd, '--branch', 'main');
    expect(code).toBe(1);
    expect(stderr).toContain("note: context 'tokens' is not given");
    expect(stderr).toContain('the images of the executors are not run');
    expect(stderr).toContain('[broken]   | before');
    expect(stderr).toContain('[broken] ✖ Break it: exit code 3');
    expect(stderr).not.toContain('| the secret is');
    expect(stderr).toContain('[after-broken] not run: broken failed');
    expect(stderr).toMatch(/^Done after .*: 4 succeeded, 1 failed, 2 not run$/m);
    expect(stderr).toMatch(/^Longest chain: [23] jobs, .*: write → (read → hold|upload)$/m);
  });

  test('a tag runs the jobs whose filters name it, and lists them without running', async () => {
    const cwd = project(small, { input: 'given' });
    const listed = await rehearse(cwd, '--list', '--tag', 'v2.0');
    expect(listed.stdout).toBe('write: contexts tokens\nupload: requires write\n');
    const ran = await rehearse(cwd, '--json', '--tag', 'v2.0');
    expect(jobEvents(ran.stdout)).toEqual(['write success', 'upload success']);
    expect(ran.stdout).toContain('the secret is , on v2.0');
    const none = await rehearse(cwd, '--tag', 'x');
    expect(none.code).toBe(2);
    expect(none.stderr).toContain("tag 'x' starts no workflow");
  });

  test('a problem of the file ends it before anything is run', async () => {
    const cwd = project(small.replace('requires: [broken]', 'requires: [brocken]'));
    const ran = await rehearse(cwd);
    expect(ran.code).toBe(2);
    expect(ran.stderr).toContain("config.yml:36:48: error: no job of this workflow is named 'brocken'");
    expect(ran.stderr).toContain("did you mean 'broken'?");
  });

  test('with more than one workflow, the name has to be said', async () => {
    const cwd = project(`${small}  other: { jobs: [broken] }\n`);
    const ran = await rehearse(cwd, '--branch', 'main');
    expect(ran.code).toBe(2);
    expect(ran.stderr).toContain("branch 'main' starts 2 workflows: all, other");
    const named = await rehearse(cwd, 'other', '--branch', 'main', '--json');
    expect(jobEvents(named.stdout)).toEqual(['broken failed']);
  });

  test.skipIf(process.platform !== 'linux')('Ctrl-C ends what the steps started, and exits 130', async () => {
    const text = small.replace(/echo before.*after/, 'sleep 7325 & sleep 7325');
    const cwd = project(text, { input: 'given' });
    const running = (): boolean =>
      readdirSync('/proc').some((pid) => {
        try {
          return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, 'utf8').startsWith('sleep\u00007325');
        } catch {
          return false;
        }
      });
    const ran = await splitbuild(['ci', 'rehearse', 'config.yml', '--branch', 'main', '--json'], {
      cwd,
      onLine: (line, kill) => {
        if (!line.includes('"step-started"') || !line.includes('Break it')) return;
        const wait = setInterval(() => {
          if (!running()) return;
          clearInterval(wait);
          kill('SIGINT');
        }, 25);
      },
    });
    expect(ran.code).toBe(130);
    expect(running()).toBe(false);
    expect(JSON.parse(ran.stdout.trimEnd().split('\n').at(-1) ?? '')).toMatchObject({
      type: 'rehearsal-finished',
      outcome: 'interrupted',
    });
  });

  test('two jobs may name the same folder of the machine: each gets it empty, and what is there already is left alone', async () => {
    const shared = join(folder, 'shared-place');
    const job = `{ docker: [ image: x ], working_directory: ${shared}, steps: [ run: "test -z \\"$(ls)\\" && touch mine && sleep 0.2" ] }`;
    const cwd = project(`version: 2.1\njobs: { a: ${job}, b: ${job} }\nworkflows: { w: { jobs: [a, b] } }\n`);
    expect(jobEvents((await rehearse(cwd, '--json')).stdout)).toEqual(['a success', 'b success']);
    expect(readdirSync(folder)).not.toContain('shared-place');
    mkdirSync(shared);
    writeFileSync(join(shared, 'precious'), '');
    const refused = await rehearse(cwd);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain(`${shared} is this machine's own`);
    expect(readdirSync(shared)).toEqual(['precious']);
  });
});

const images = `version: 2.1
executors:
  docker:
    parameters: { size: { type: string, default: medium } }
    docker: [ image: docker:24.0.9-git ]
    resource_class: << parameters.size >>
commands:
  login:
    steps:
      - setup_remote_docker
      - run:
          name: Log in
          command: |
            echo "as ci with $REGISTRY_PASSWORD"
            echo "$REGISTRY_PASSWORD" | docker login --username ci --password-stdin "$REGISTRY"
jobs:
  build:
    parameters:
      arch: { type: enum, enum: [amd64, arm64] }
      size: { type: string, default: medium }
    executor: { name: docker, size: << parameters.size >> }
    steps:
      - checkout
      - login
      - run:
          name: Build and push
          command: |
            docker build --tag "$REGISTRY/t/app:$CIRCLE_TAG-<< parameters.arch >>" .
            docker push "$REGISTRY/t/app:$CIRCLE_TAG-<< parameters.arch >>"
            mkdir exports
            docker save "$REGISTRY/t/app:$CIRCLE_TAG-<< parameters.arch >>" | gzip > exports/app-<< parameters.arch >>.tar.gz
      - persist_to_workspace: { root: exports, paths: ["*.tar.gz"] }
  manifest:
    executor: docker
    environment: { DOCKER_CLI_EXPERIMENTAL: enabled }
    steps:
      - login
      - run: |
          app="$REGISTRY/t/app:$CIRCLE_TAG"
          docker manifest create --insecure "$app" "$app-amd64" "$app-arm64"
          docker manifest push --insecure "$app"
  upload:
    executor: docker
    steps:
      - attach_workspace: { at: . }
      - run: gh release upload "<< pipeline.git.tag >>" *.tar.gz
  broken:
    executor: docker
    steps:
      - setup_remote_docker
      - run: docker pull "$REGISTRY/t/nothing:here"
workflows:
  release:
    jobs:
      - build: { name: build-amd64, arch: amd64, context: registry, filters: &tags { tags: { only: '/^v\\d+$/' } } }
      - build: { name: build-arm64, arch: arm64, size: arm.medium, context: registry, filters: *tags }
      - manifest: { requires: [build-amd64, build-arm64], context: registry, filters: *tags }
      - broken: { requires: [build-amd64], context: registry, filters: *tags }
      - upload: { requires: [manifest], filters: *tags }
      - upload: { name: never, requires: [broken], filters: *tags }
`;

const dockerfile = `FROM scratch
ARG TARGETARCH
COPY busybox-\${TARGETARCH} /bin/busybox
RUN ["/bin/busybox", "touch", "/made"]
`;

describe.skipIf(problem)(`a rehearsal in the lab${problem ? ` (skipped: ${problem})` : ''}`, () => {
  let lab: Lab;
  let local: DockerHost;
  let armHost: Host;
  let arm: DockerHost;
  let registry: string;

  beforeAll(async () => {
    execFileSync('bash', ['scripts/busybox.sh', 'examples/quickstart/base'], { stdio: 'ignore' });
    lab = createLab(5);
    const registryHost = lab.host('registry');
    armHost = lab.host('arm');
    registry = `${registryHost.address}:5000`;
    const htpasswd = join(lab.folder, 'htpasswd');
    // `htpasswd -nbB ci right`
    writeFileSync(htpasswd, 'ci:$2y$05$3XrqUEt6xya1A1UQgGMVv.IjHX/t54luEHKh3ZLXbrBopBijf3pSe\n');
    [local, arm] = await Promise.all([
      lab.localDocker({ insecureRegistries: [registry] }),
      armHost.docker({ insecureRegistries: [registry] }),
      registryHost.registry({ htpasswd }),
      armHost.sshd(),
    ]);
  });
  afterAll(async () => lab?.close());

  function imageProject(): string {
    const contexts = `registry: { REGISTRY: "${registry}", REGISTRY_PASSWORD: right }\n`;
    const cwd = project(images, { Dockerfile: dockerfile, 'contexts.yml': contexts });
    for (const arch of ['amd64', 'arm64']) {
      copyFileSync(`examples/quickstart/base/busybox-${arch}`, join(cwd, `busybox-${arch}`));
    }
    return cwd;
  }

  test('two architectures on two engines, joined, pushed and uploaded; one failure stops one branch', async () => {
    const cwd = imageProject();
    const args = ['--tag', 'v7', '--contexts', 'contexts.yml', '--record', 'gh.jsonl', '--verbose'];
    const builders = ['--builder', `default=unix://${local.socket}`, '--builder', `arm.medium=ssh://arm${arm.socket}`];
    const ran = await splitbuild(['ci', 'rehearse', 'config.yml', ...args, ...builders], {
      cwd,
      env: { SPLITBUILD_SSH_CONFIG: lab.sshConfig },
    });
    expect(ran.stderr).toContain('[broken] ✖ docker pull');
    expect(ran.stderr).toMatch(/: 4 succeeded, 1 failed, 1 not run$/m);
    expect(ran.code).toBe(1);
    expect(ran.stderr).toContain('as ci with ***');
    const raw = skopeo(
      'inspect',
      '--raw',
      '--tls-verify=false',
      '--creds',
      'ci:right',
      `docker://${registry}/t/app:v7`,
    );
    const index: { manifests: { platform: { architecture: string } }[] } = JSON.parse(raw);
    expect(index.manifests.map(({ platform }) => platform.architecture).sort()).toEqual(['amd64', 'arm64']);
    // Each on the engine of its class, and only there.
    expect(docker(local, 'image', 'ls', '--format', '{{.Tag}}', `${registry}/t/app`).trim()).toBe('v7-amd64');
    expect(docker(arm, 'image', 'ls', '--format', '{{.Tag}}', `${registry}/t/app`).trim()).toBe('v7-arm64');
    const record: { args: string[]; files: { path: string; size: number }[] } = JSON.parse(
      readFileSync(join(cwd, 'gh.jsonl'), 'utf8'),
    );
    expect(record.args).toEqual(['release', 'upload', 'v7', 'app-amd64.tar.gz', 'app-arm64.tar.gz']);
    expect(record.files.map(({ path, size }) => [path, size > 100_000])).toEqual([
      ['app-amd64.tar.gz', true],
      ['app-arm64.tar.gz', true],
    ]);
  });

  test('a class without a builder of its platform is refused before anything is run, with what to do', async () => {
    const cwd = imageProject();
    const args = ['config.yml', '--tag', 'v8', '--contexts', 'contexts.yml'];
    const other = process.arch === 'arm64' ? 'medium' : 'arm.medium';
    const ran = await splitbuild(['ci', 'rehearse', ...args], { cwd, env: { DOCKER_HOST: `unix://${local.socket}` } });
    expect(ran.code).toBe(1);
    expect(ran.stderr).toContain(`--builder ${other}=local`);
    expect(ran.stderr).not.toContain('started');
  });

  test('the config’s builders stand for the resource classes that it names', async () => {
    const cwd = imageProject();
    writeFileSync(
      join(cwd, 'splitbuild.yaml'),
      [
        'version: 1',
        'family: t',
        'platforms: [linux/amd64, linux/arm64]',
        'images: { app: { repository: t/app } }',
        'ci: { circleci: { resourceClass: { linux/amd64: medium, linux/arm64: arm.medium } } }',
        'builders:',
        `  - { name: here, endpoint: "unix://${local.socket}" }`,
        '',
      ].join('\n'),
    );
    const ran = await rehearse(cwd, '--tag', 'v9', '--contexts', 'contexts.yml');
    // Both engines of the lab are of this machine's platform: the other class has none.
    expect(ran.code).toBe(1);
    expect(ran.stderr).toContain(`unix://${local.socket}: linux/${process.arch === 'arm64' ? 'arm64' : 'amd64'}`);
    const [arch, size] = process.arch === 'arm64' ? ['arm64', 'arm.medium'] : ['amd64', 'medium'];
    const only = `workflows: { w: { jobs: [ build: { arch: ${arch}, size: ${size}, context: registry, filters: { tags: { only: v9 } } } ] } }\n`;
    writeFileSync(join(cwd, 'config.yml'), `${images.slice(0, images.indexOf('workflows:'))}${only}`);
    const native = await rehearse(cwd, '--tag', 'v9', '--contexts', 'contexts.yml');
    expect(native.stderr).toContain(`docker at unix://${local.socket}`);
    expect(native.code).toBe(0);
  });
});
