// What is published and taken back, on a real engine and Debian's registry: whole, tested and audited, or as it was before.
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createLab, type DockerHost, type Host, type Lab, labProblem, skopeo } from './lab/lab.ts';
import { splitbuild, tasksOf } from './lab/splitbuild.ts';

const problem = labProblem();
const architectures = process.arch === 'arm64' ? ['arm64'] : ['amd64', '386'];
const [here = ''] = architectures;
const foreign = process.arch === 'arm64' ? 'amd64' : 'arm64';
const platforms = architectures.map((architecture) => `linux/${architecture}`);

describe.skipIf(problem)(`publishing in the lab${problem ? ` (skipped: ${problem})` : ''}`, () => {
  let lab: Lab;
  let local: DockerHost;
  let registryHost: Host;
  let families = 0;

  beforeAll(async () => {
    execFileSync('bash', ['scripts/busybox.sh', 'examples/quickstart/base'], { stdio: 'ignore' });
    lab = createLab(8);
    registryHost = lab.host('registry');
    [local] = await Promise.all([
      lab.localDocker({ insecureRegistries: [`http://${registryHost.address}:5000`] }),
      registryHost.registry(),
    ]);
  });
  afterAll(async () => lab?.close());

  interface Family {
    cwd: string;
    /** The reference of an image, with its tag or `@digest`. */
    image(name: string, tag?: string): string;
    /** What a tag points at, as skopeo sees it; undefined where there is none. */
    digest(name: string, tag?: string): string | undefined;
    write(file: string, text: string): void;
  }

  /** `base` and `app`, which is built on it, in repositories of this family's own. */
  function family(options: { config?: string; app?: string; image?: string } = {}): Family {
    families += 1;
    const name = `t${families}`;
    const cwd = mkdtempSync(join(lab.folder, 'publishing-'));
    const registry = `${registryHost.address}:5000`;
    for (const image of ['base', 'app']) mkdirSync(join(cwd, image));
    for (const architecture of architectures) {
      copyFileSync(`examples/quickstart/base/busybox-${architecture}`, join(cwd, `base/busybox-${architecture}`));
    }
    const write = (file: string, text: string): void => writeFileSync(join(cwd, file), text);
    write(
      'base/Dockerfile',
      'FROM scratch\nARG TARGETARCH\nCOPY busybox-${TARGETARCH} /bin/busybox\nCOPY busybox-${TARGETARCH} /bin/sh\nCOPY version /version\n',
    );
    write('base/version', '1');
    write('app/Dockerfile', options.app ?? `FROM ${name}/base:develop\nRUN /bin/busybox touch /app\n`);
    write(
      'splitbuild.yaml',
      [
        `version: 1\nfamily: ${name}\nplatforms: [${platforms.join(', ')}]\ntags: [develop]`,
        `registry: "${registry}"\nregistries: { "${registry}": { plainHttp: true } }`,
        `images:\n  base: { repository: ${name}/base, source: ./base }`,
        `  app: { repository: ${name}/app, source: ./app${options.image ?? ''} }`,
        `builders: [{ name: here, endpoint: "unix://${local.socket}", slots: 2 }]`,
        options.config ?? '',
        '',
      ].join('\n'),
    );
    return {
      ...{ cwd, write },
      image: (image, tag = 'develop') => `${registry}/${name}/${image}${tag.includes(':') ? '@' : ':'}${tag}`,
      digest(image, tag = 'develop') {
        try {
          const raw = skopeo('inspect', '--raw', '--tls-verify=false', `docker://${registry}/${name}/${image}:${tag}`);
          return execFileSync('sha256sum', { input: raw, encoding: 'utf8' }).slice(0, 64);
        } catch {
          return undefined;
        }
      },
    };
  }

  function allDigests({ digest }: Family): (string | undefined)[] {
    const tags = ['develop', ...architectures.map((architecture) => `develop-${architecture}`)];
    return ['base', 'app'].flatMap((image) => tags.map((tag) => digest(image, tag)));
  }

  test('a rollback takes every tag back to what it was, by the registry’s record from any machine, and forth again', async () => {
    const one = family();
    expect((await splitbuild(['build'], one)).code).toBe(0);
    const first = allDigests(one);
    one.write('base/version', '2');
    expect((await splitbuild(['build'], one)).code).toBe(0);
    const second = allDigests(one);
    for (const [index, digest] of second.entries()) expect(digest).not.toBe(first[index]);
    // The state folder, with its journals, is another machine's.
    rmSync(join(one.cwd, '.splitbuild'), { recursive: true });
    const dry = await splitbuild(['rollback', '--dry-run'], one);
    expect(dry.stdout).toContain('nothing was moved');
    expect(allDigests(one)).toEqual(second);
    expect((await splitbuild(['rollback', 'app'], one)).code).toBe(0);
    expect(allDigests(one)).toEqual([...second.slice(0, second.length / 2), ...first.slice(first.length / 2)]);
    expect((await splitbuild(['rollback', 'base'], one)).code).toBe(0);
    expect(allDigests(one)).toEqual(first);
    expect((await splitbuild(['verify', one.image('app')], one)).code).toBe(0);
    expect((await splitbuild(['rollback'], one)).code).toBe(0);
    expect(allDigests(one)).toEqual(second);
  });

  test('what one run published is taken back by its journal, but not over what somebody published since', async () => {
    const one = family();
    await splitbuild(['build'], one);
    const first = allDigests(one);
    one.write('base/version', '2');
    const { events } = await splitbuild(['build', '--json'], one);
    const run = events.find((event) => event.type === 'run-started')?.run ?? '';
    const theirs = one.image('app', 'develop');
    skopeo(
      'copy',
      '--tls-verify=false',
      '--all',
      '--src-tls-verify=false',
      '--dest-tls-verify=false',
      `docker://${one.image('base')}`,
      `docker://${theirs}`,
    );
    const refused = await splitbuild(['rollback', run], one);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('app:develop has moved since');
    expect((await splitbuild(['rollback', run, '--force'], one)).code).toBe(0);
    expect(allDigests(one)).toEqual(first);
  });

  test('the tests of an image run in each platform’s image, by digest, before it is published', async () => {
    const one = family({ image: `, test: ["test -e /app && cat /version", [/bin/busybox, test, -e, /missing]]` });
    const failed = await splitbuild(['build'], one);
    expect(failed.code).toBe(1);
    for (const platform of platforms) expect(failed.stderr).toContain(`✖ test app ${platform} failed`);
    expect(failed.stderr).toContain(`'/bin/busybox test -e /missing' ended with 1`);
    expect(one.digest('base')).toBeDefined();
    expect(one.digest('app')).toBeUndefined();
    one.write('app/Dockerfile', `FROM t${families}/base:develop\nRUN /bin/busybox touch /app /missing\n`);
    const passed = await splitbuild(['build', '--json'], one);
    expect(passed.code).toBe(0);
    expect(tasksOf(passed.events, 'task-finished')).toEqual(
      expect.arrayContaining(platforms.map((platform) => `test app ${platform}`)),
    );
    expect(one.digest('app')).toBeDefined();
  });

  test('a gate is asked about every staged image, by digest, and holds what it refuses', async () => {
    const gate = 'gates: [{ name: policy, run: "./policy.sh" }]';
    const one = family({ config: gate });
    one.write(
      'policy.sh',
      '#!/bin/sh\necho "$SPLITBUILD_IMAGE $SPLITBUILD_REFERENCE $SPLITBUILD_PLATFORMS" >> asked\ntest "$SPLITBUILD_IMAGE" != app\n',
    );
    execFileSync('chmod', ['+x', join(one.cwd, 'policy.sh')]);
    const refused = await splitbuild(['build'], one);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain(`gate 'policy' ended with 1: the image is not published`);
    const asked = execFileSync('sort', [join(one.cwd, 'asked')], { encoding: 'utf8' })
      .trim()
      .split('\n');
    expect(asked).toHaveLength(2);
    const [name, reference = '', ...digests] = asked[1]?.split(' ') ?? [];
    expect(name).toBe('base');
    expect(reference).toMatch(new RegExp(`^${one.image('base', `sha256:${one.digest('base')}`)}$`));
    expect(digests.map((text) => text.split('=')[0])).toEqual(platforms);
    expect(one.digest('app')).toBeUndefined();
  });

  test('a program of another machine in a layer stops the image, is named with its path, and may be allowed', async () => {
    const app = (number: number): string => `FROM t${number}/base:develop\nCOPY helper /opt/tools/helper\n`;
    const one = family({ app: app(families + 1) });
    copyFileSync(`examples/quickstart/base/busybox-${foreign}`, join(one.cwd, 'app/helper'));
    const stopped = await splitbuild(['build'], one);
    expect(stopped.code).toBe(1);
    expect(stopped.stderr).toMatch(/\/opt\/tools\/helper: ELF 64-bit .*, expected ELF .* \(layer sha256:/);
    expect(one.digest('base')).toBeDefined();
    expect(one.digest('app')).toBeUndefined();
    const allowed = family({ app: app(families + 1), image: ', audit: { allow: ["/opt/tools/**"] }' });
    copyFileSync(`examples/quickstart/base/busybox-${foreign}`, join(allowed.cwd, 'app/helper'));
    expect((await splitbuild(['build'], allowed)).code).toBe(0);
    const warned = family({ app: app(families + 1), image: ', audit: warn' });
    copyFileSync(`examples/quickstart/base/busybox-${foreign}`, join(warned.cwd, 'app/helper'));
    const published = await splitbuild(['build'], warned);
    expect(published.code).toBe(0);
    expect(published.stderr).toContain('/opt/tools/helper');
    expect(warned.digest('app')).toBeDefined();
  });

  test('of a run that several jobs share, an image is published only if its tests passed in one of them', async () => {
    const one = family({ image: ', test: ["test -e /app"]' });
    const job = async (...args: string[]) => {
      rmSync(join(one.cwd, '.splitbuild'), { recursive: true, force: true });
      return splitbuild([...args, '--run-id', 'run-7'], one);
    };
    const early = await job('publish', 'app');
    expect(early.code).toBe(1);
    expect(early.stderr).toContain('was not done for this run');
    for (const platform of platforms) {
      expect((await job('build', '--no-publish', '--platform', platform)).code).toBe(0);
    }
    const published = await job('publish', '--json');
    expect(published.code).toBe(0);
    expect(tasksOf(published.events, 'task-reused').sort()).toEqual(
      platforms
        .flatMap((platform) => [`build app ${platform}`, `build base ${platform}`, `test app ${platform}`])
        .sort(),
    );
    expect(one.digest('app')).toBeDefined();
  });

  test('with carry, a platform that fails has its last good image in the new one, annotated', async () => {
    if (architectures.length < 2) return;
    const one = family({ config: 'failedPlatform: carry' });
    expect((await splitbuild(['build'], one)).code).toBe(0);
    const [, before] = architectures.map((architecture) => one.digest('app', `develop-${architecture}`));
    const other = architectures[1] ?? '';
    one.write(
      'app/Dockerfile',
      `FROM t${families}/base:develop\nARG TARGETARCH\nRUN /bin/busybox test $TARGETARCH = ${here}\n`,
    );
    const carried = await splitbuild(['build'], one);
    expect(carried.code).toBe(1);
    const index = JSON.parse(skopeo('inspect', '--raw', '--tls-verify=false', `docker://${one.image('app')}`)) as {
      manifests: { digest: string; platform: { architecture: string }; annotations?: Record<string, string> }[];
    };
    const entry = index.manifests.find(({ platform }) => platform.architecture === other);
    expect(entry?.digest).toBe(`sha256:${before}`);
    expect(entry?.annotations).toHaveProperty(['dev.splitbuild.carried']);
    expect((await splitbuild(['verify', one.image('app')], one)).code).toBe(0);
  });
});
