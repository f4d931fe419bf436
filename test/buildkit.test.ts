// Builders that are a BuildKit by itself: a family on a socket and over ssh, tests, secrets, what fails, and an engine that dies.
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createBuildkitEngine } from '../src/engine/buildkit.ts';
import type { BuildRequest } from '../src/engine/engine.ts';
import { sha256 } from '../src/image/digest.ts';
import { startEmbeddedRegistry } from '../src/registry/embedded.ts';
import { type Buildkit, buildkitPrograms, startBuildkit } from './lab/buildkit.ts';
import { createLab, type Host, type Lab, labProblem, makeTls, skopeo } from './lab/lab.ts';
import { type Ran, splitbuild, tasksOf } from './lab/splitbuild.ts';

const problem = labProblem();
const architectures = process.arch === 'arm64' ? ['arm64'] : ['amd64', '386'];
const platforms = architectures.map((architecture) => `linux/${architecture}`);
const signal = new AbortController().signal;

// Where there is no Go, there is no BuildKit to test with.
if (buildkitPrograms !== undefined) {
  describe.skipIf(problem)(`BuildKit in the lab${problem ? ` (skipped: ${problem})` : ''}`, () => {
    let lab: Lab;
    let far: Host;
    let registryHost: Host;
    let tls: ReturnType<typeof makeTls>;
    let here: Buildkit;
    let farKit: Buildkit;
    const env = { PATH: `${buildkitPrograms}:${process.env.PATH}` };

    beforeAll(async () => {
      execFileSync('bash', ['scripts/busybox.sh', 'examples/quickstart/base'], { stdio: 'ignore' });
      lab = createLab(14);
      far = lab.host('far');
      registryHost = lab.host('registry');
      tls = makeTls(join(lab.folder, 'tls'), far.address);
      const farOptions = {
        namespace: 'sb14-far',
        tls: { address: `tcp://${far.address}:1234`, files: tls.server },
        plainHttp: [`${registryHost.address}:5000`],
      };
      [here, farKit] = await Promise.all([
        startBuildkit(join(lab.folder, 'here')),
        startBuildkit(join(lab.folder, 'far-kit'), farOptions),
        far.sshd(),
        registryHost.registry(),
      ]);
    });
    afterAll(async () => {
      await Promise.all([here?.stop(), farKit?.stop()]);
      await lab?.close();
    });

    /** An image folder for each Dockerfile; `base` has busybox. */
    function family(
      dockerfiles: Record<string, string>,
      image: Record<string, string> = {},
      endpoint?: string,
    ): string {
      const cwd = mkdtempSync(join(lab.folder, 'family-'));
      const base =
        'FROM scratch\nARG TARGETARCH\nCOPY busybox-${TARGETARCH} /bin/busybox\nCOPY busybox-${TARGETARCH} /bin/sh\n';
      const all = { base, ...dockerfiles };
      for (const [name, text] of Object.entries(all)) {
        mkdirSync(join(cwd, name));
        writeFileSync(join(cwd, name, 'Dockerfile'), text);
      }
      for (const architecture of architectures) {
        const file = `busybox-${architecture}`;
        copyFileSync(`examples/quickstart/base/${file}`, join(cwd, 'base', file));
      }
      const images = Object.keys(all).map(
        (name) => `  ${name}: { repository: t/${name}, source: ./${name}${image[name] ?? ''} }`,
      );
      writeFileSync(
        join(cwd, 'splitbuild.yaml'),
        `version: 1\nfamily: t\nplatforms: [${platforms.join(', ')}]\nimages:\n${images.join('\n')}\nbuilders: [{ name: kit, endpoint: "${endpoint ?? `unix://${here.socket}`}", engine: buildkit, slots: 2 }]\n`,
      );
      return cwd;
    }

    const build = (cwd: string, more: Record<string, string> = {}): Promise<Ran> =>
      splitbuild(['build', '--json'], { cwd, env: { ...env, ...more } });

    function failureOf(ran: Ran): unknown {
      return ran.events.flatMap((event) => (event.type === 'task-failed' ? [event.failure] : []))[0];
    }

    test('builds and tests a family, on upstreams of the same run, with a secret and the ignore rules', async () => {
      const cwd = family(
        {
          app: 'FROM t/base\nARG WORDS\nCOPY . /app\nRUN --mount=type=secret,id=TOKEN /bin/busybox test -s /run/secrets/TOKEN && /bin/busybox echo "$WORDS" > /words\nRUN /bin/busybox mkdir -p /etc; /bin/busybox echo "seven:x:7:7::/:/bin/sh" > /etc/passwd; /bin/busybox echo "seven:x:7:" > /etc/group\nUSER seven\n',
        },
        {
          app: `, args: { WORDS: "one, two=three" }, secrets: [TOKEN], test: [${JSON.stringify(
            'test ! -e /app/x.log && test "$(/bin/busybox cat /words)" = "one, two=three" && /bin/busybox id -u',
          )}, [/bin/busybox, echo, "it's \\"so\\""]]`,
        },
      );
      writeFileSync(join(cwd, 'app/.dockerignore'), '*.log\n');
      writeFileSync(join(cwd, 'app/x.log'), 'no\n');
      const ran = await build(cwd, { TOKEN: 'canary-of-buildkit' });
      expect(ran.stderr).toBe('');
      expect(failureOf(ran)).toBeUndefined();
      expect(ran.code).toBe(0);
      const said = ran.events.flatMap((event) =>
        event.type === 'task-output' && event.task.startsWith('test ') ? [event.line] : [],
      );
      // As the words of the test alone, and by the image's user.
      expect(said.filter((line) => !line.startsWith('$ '))).toEqual(platforms.flatMap(() => ['7', `it's "so"`]).sort());
      expect(ran.stdout).not.toContain('canary-of-buildkit');
      const verified = await splitbuild(
        ['verify', 't/app', ...platforms.flatMap((platform) => ['--platform', platform])],
        { cwd },
      );
      expect(verified.stdout).toBe(`t/app is whole: ${platforms.join(', ')}.\n`);
      const again = await build(cwd, { TOKEN: 'canary-of-buildkit' });
      expect(tasksOf(again.events, 'task-started').filter((task) => task.startsWith('build '))).toEqual([]);
    });

    test('over ssh, the embedded registry is reached through the tunnel', async () => {
      const cwd = family({ app: 'FROM t/base\nRUN /bin/busybox touch /x\n' }, {}, `ssh://root@far${farKit.socket}`);
      const ran = await build(cwd, { SPLITBUILD_SSH_CONFIG: lab.sshConfig });
      expect(ran.stderr).toBe('');
      expect(ran.code).toBe(0);
      expect(ran.events.find((event) => event.type === 'run-finished')).toMatchObject({ outcome: 'done' });
    });

    test('over tcp with TLS, it publishes to a registry of plain HTTP that its buildkitd.toml names', async () => {
      const cwd = family({ app: 'FROM t/base\nRUN /bin/busybox touch /x\n' });
      const config = join(cwd, 'splitbuild.yaml');
      const endpoint = `tcp://${far.address}:1234`;
      const { ca, cert, key } = tls.client;
      const address = `${registryHost.address}:5000`;
      const written = readFileSync(config, 'utf8').replace(/^builders:.*\n/m, '');
      const builder = `{ name: far, endpoint: "${endpoint}", engine: buildkit, tls: { ca: "${ca}", cert: "${cert}", key: "${key}" } }`;
      const remote = `${written}builders: [ ${builder} ]\n`;
      writeFileSync(config, remote);
      const alone = await build(cwd);
      expect(alone.stderr).toContain("can't reach the embedded registry");
      writeFileSync(config, `${remote}registry: "${address}"\nregistries: { "${address}": { plainHttp: true } }\n`);
      const ran = await build(cwd);
      expect(failureOf(ran)).toBeUndefined();
      expect(ran.code).toBe(0);
      const index: { manifests: unknown[] } = JSON.parse(
        skopeo('inspect', '--raw', '--tls-verify=false', `docker://${address}/t/app:latest`),
      );
      expect(index.manifests).toHaveLength(platforms.length);
    });

    test('a step that fails is the build’s failure, with its code', async () => {
      const ran = await build(family({ app: 'FROM t/base\nRUN /bin/busybox echo before the end; exit 7\n' }));
      expect(ran.code).toBe(1);
      expect(failureOf(ran)).toMatchObject({ kind: 'build', exitCode: 7 });
    });

    test.each([
      ['exit 4', 4],
      [['/bin/nothing'], 127],
    ])('a test %j that fails is a check’s failure, and is not published', async (command, exitCode) => {
      const ran = await build(family({}, { base: `, test: [${JSON.stringify(command)}]` }));
      expect(ran.code).toBe(1);
      expect(failureOf(ran)).toMatchObject({ kind: 'check', exitCode });
      expect(ran.events.some((event) => event.type === 'tag-moved')).toBe(false);
    });

    test('a registry that refuses is the push’s failure, not the Dockerfile’s', async () => {
      const engine = createBuildkitEngine({ address: `unix://${here.socket}`, endpoint: 'here', env });
      const request: BuildRequest = {
        ...{ context: family({}), dockerfile: 'FROM scratch\nCOPY splitbuild.yaml /\n', args: {}, secrets: {} },
        ...{ platform: { os: 'linux', architecture: 'arm64' }, reference: '127.0.0.1:9/t/x:1', plainHttp: true },
      };
      expect(await engine.build(request, () => undefined, signal)).toEqual({ ok: true, value: undefined });
      expect(await engine.push('127.0.0.1:9/t/x:1', { plainHttp: true }, () => undefined, signal)).toMatchObject({
        ok: false,
        failure: { kind: 'registry', transient: true },
      });
    });

    test('a BuildKit that is killed in the middle of a build gets it again when it is back', async () => {
      const cwd = family({ slow: 'FROM t/base\nRUN /bin/busybox echo sleeping; /bin/busybox sleep 5\n' });
      let killed: Promise<void> | undefined;
      let again: Promise<void> | undefined;
      const ran = await splitbuild(['build', '--json'], {
        cwd,
        env,
        onLine(line) {
          if (/"#\d+ [\d.]+ sleeping"/.test(line)) killed ??= here.kill();
          // Not before it is missed: it could be back before anybody asks for it.
          if (line.includes('"type":"builder-lost"')) again ??= killed?.then(() => here.start());
        },
      });
      await again;
      expect(again).toBeDefined();
      const failures = ran.events.flatMap((event) => (event.type === 'task-failed' ? [event] : []));
      expect(failures[0]).toMatchObject({ failure: { kind: 'engine', transient: true }, willRetry: true });
      expect(ran.events.some((event) => event.type === 'builder-back')).toBe(true);
      expect(ran.code).toBe(0);
    });

    test('what it pushed is exported under its name, and of another platform than the machine’s', async () => {
      const engine = createBuildkitEngine({ address: `unix://${here.socket}`, endpoint: 'here', env });
      const registry = await startEmbeddedRegistry({ root: join(lab.folder, 'registry') });
      if (!registry.ok) throw new Error(JSON.stringify(registry.failure));
      try {
        const reference = `${registry.value.address}/t/exported:1`;
        const request: BuildRequest = {
          ...{ context: family({}), dockerfile: 'FROM scratch\nCOPY splitbuild.yaml /\n', args: {}, secrets: {} },
          ...{ labels: { made: 'here' }, platform: { os: 'linux', architecture: 'riscv64' }, reference },
          plainHttp: true,
        };
        expect(await engine.build(request, () => undefined, signal)).toEqual({ ok: true, value: undefined });
        const pushed = await engine.push(reference, { plainHttp: true }, () => undefined, signal);
        const accept = 'application/vnd.oci.image.manifest.v1+json';
        const answer = await fetch(`http://${registry.value.address}/v2/t/exported/manifests/1`, {
          headers: { accept },
        });
        const raw = await answer.text();
        expect(pushed).toEqual({ ok: true, value: { digest: sha256(raw) } });
        expect(JSON.parse(raw)).toMatchObject({ mediaType: accept });
        const file = join(lab.folder, 'exported.tar');
        expect(await engine.export(reference, file, signal)).toEqual({ ok: true, value: undefined });
        expect(JSON.parse(skopeo('inspect', '--config', `docker-archive:${file}`))).toMatchObject({
          architecture: 'riscv64',
          config: { Labels: { made: 'here' } },
        });
      } finally {
        await registry.value.close();
      }
    });

    test('where no BuildKit answers, that is the engine’s failure', async () => {
      const engine = createBuildkitEngine({ address: `unix://${lab.folder}/nobody.sock`, endpoint: 'x', env });
      expect(await engine.probe(signal)).toMatchObject({
        ok: false,
        failure: { kind: 'engine', transient: true, message: expect.stringContaining('no BuildKit answers') },
      });
    });
  });
}
