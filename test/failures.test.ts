// What goes wrong on real engines and registries, and what is left afterwards.
import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createLab, type DockerHost, docker, type Host, type Lab, labProblem, makeTls, skopeo } from './lab/lab.ts';
import { splitbuild, tasksOf } from './lab/splitbuild.ts';

const problem = labProblem();
const here = process.arch === 'arm64' ? 'linux/arm64' : 'linux/amd64';

describe.skipIf(problem)(`failures in the lab${problem ? ` (skipped: ${problem})` : ''}`, () => {
  let lab: Lab;
  let local: DockerHost;
  let registryHost: Host;

  beforeAll(async () => {
    execFileSync('bash', ['scripts/busybox.sh', 'examples/quickstart/base'], { stdio: 'ignore' });
    lab = createLab(2);
    registryHost = lab.host('registry');
    const htpasswd = join(lab.folder, 'htpasswd');
    // `htpasswd -nbB ci right`
    writeFileSync(htpasswd, 'ci:$2y$05$3XrqUEt6xya1A1UQgGMVv.IjHX/t54luEHKh3ZLXbrBopBijf3pSe\n');
    [local] = await Promise.all([
      lab.localDocker({ insecureRegistries: [`http://${registryHost.address}:5000`] }),
      registryHost.registry({ htpasswd }),
    ]);
  });
  afterAll(async () => lab?.close());

  /** A folder with a config, and an image folder for each Dockerfile; `base` has busybox. */
  function family(dockerfiles: Record<string, string>, config = '', image: Record<string, string> = {}): string {
    const cwd = mkdtempSync(join(lab.folder, 'family-'));
    const all = { base: 'FROM scratch\nCOPY busybox /bin/busybox\nCOPY busybox /bin/sh\n', ...dockerfiles };
    for (const [name, text] of Object.entries(all)) {
      mkdirSync(join(cwd, name));
      writeFileSync(join(cwd, name, 'Dockerfile'), text);
    }
    copyFileSync(`examples/quickstart/base/busybox-${here.slice(6)}`, join(cwd, 'base/busybox'));
    const images = Object.keys(all).map(
      (name) => `  ${name}: { repository: t/${name}, source: ./${name}${image[name] ?? ''} }`,
    );
    writeFileSync(
      join(cwd, 'splitbuild.yaml'),
      `version: 1\nfamily: t\nplatforms: [${here}]\n${config}\nimages:\n${images.join('\n')}\nbuilders: [{ name: here, endpoint: "unix://${local.socket}", slots: 2 }]\n`,
    );
    return cwd;
  }

  test('a failed build stops only what depends on it, and the next run goes on from there', async () => {
    const cwd = family({
      broken: 'FROM t/base\nRUN /bin/busybox echo before the end; exit 3\n',
      child: 'FROM t/broken\nRUN /bin/busybox true\n',
      other: 'FROM t/base\nRUN /bin/busybox touch /done\n',
    });
    const first = await splitbuild(['build'], { cwd });
    expect(first.code).toBe(1);
    expect(first.stderr).toContain(`✖ broken ${here} failed`);
    expect(first.stderr).toContain('before the end');
    expect(first.stderr).toMatch(/exit code: 3/);
    expect(first.stderr).toContain(`[child ${here}] skipped: build broken ${here} was not done`);
    expect((await splitbuild(['verify', 't/other'], { cwd })).code).toBe(0);
    expect((await splitbuild(['verify', 't/broken'], { cwd })).code).toBe(1);

    writeFileSync(join(cwd, 'broken/Dockerfile'), 'FROM t/base\nRUN /bin/busybox touch /mended\n');
    const second = await splitbuild(['build', '--json'], { cwd });
    expect(second.code).toBe(0);
    expect(tasksOf(second.events, 'task-reused').sort()).toEqual([
      `build base ${here}`,
      `build other ${here}`,
      'publish base',
      'publish other',
    ]);
    const started = tasksOf(second.events, 'task-started').filter((task) => task.startsWith('build'));
    expect(started.sort()).toEqual([`build broken ${here}`, `build child ${here}`]);
    expect((await splitbuild(['verify', 't/child'], { cwd })).code).toBe(0);
  });

  test('Ctrl-C stops the builds themselves, leaves a whole journal, exits 130, and the next run goes on', async () => {
    const cwd = family({ slow: 'FROM t/base\nRUN /bin/busybox sleep 7321\n' });
    const running = (): boolean =>
      readdirSync('/proc').some((pid) => {
        try {
          return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('sleep\u00007321');
        } catch {
          return false;
        }
      });
    const started = Date.now();
    const ran = await splitbuild(['build', '--json'], {
      cwd,
      onLine: (line, kill) => {
        if (!line.includes('"task-started"') || !line.includes('build slow')) return;
        const wait = setInterval(() => {
          if (!running() && Date.now() - started < 60_000) return;
          clearInterval(wait);
          kill('SIGINT');
        }, 50);
      },
    });
    expect(ran.code).toBe(130);
    for (let tries = 0; tries < 100 && running(); tries += 1) await new Promise((done) => setTimeout(done, 100));
    expect(running()).toBe(false);
    const runs = join(cwd, '.splitbuild/runs');
    const journal = readFileSync(join(runs, readdirSync(runs)[0] ?? ''), 'utf8')
      .trimEnd()
      .split('\n');
    expect(JSON.parse(journal.at(-1) ?? '')).toMatchObject({ type: 'run-finished', outcome: 'interrupted' });

    writeFileSync(join(cwd, 'slow/Dockerfile'), 'FROM t/base\nRUN /bin/busybox touch /quick\n');
    const again = await splitbuild(['build', '--json'], { cwd });
    expect(again.code).toBe(0);
    expect(tasksOf(again.events, 'task-reused')).toEqual([`build base ${here}`, 'publish base']);
  });

  test('killed, it leaves no ssh connection behind', async () => {
    const host = lab.host('reached');
    await host.sshd();
    const cwd = family({ other: 'FROM t/base\nRUN /bin/busybox sleep 2\n' });
    const config = join(cwd, 'splitbuild.yaml');
    writeFileSync(config, readFileSync(config, 'utf8').replace('unix://', 'ssh://reached'));
    const connections = (): string[] =>
      readdirSync('/proc').filter((pid) => {
        try {
          return (
            /^\d+$/.test(pid) &&
            readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(`ssh\u0000-F\u0000${lab.sshConfig}`)
          );
        } catch {
          return false;
        }
      });
    let open = 0;
    await splitbuild(['build', '--json'], {
      cwd,
      env: { SPLITBUILD_SSH_CONFIG: lab.sshConfig },
      onLine: (line, kill) => {
        if (!line.includes('"task-started"')) return;
        open = Math.max(open, connections().length);
        kill('SIGKILL');
      },
    });
    expect(open).toBe(1);
    for (let tries = 0; tries < 100 && connections().length > 0; tries += 1)
      await new Promise((done) => setTimeout(done, 100));
    expect(connections()).toEqual([]);
  });

  test('a registry that wants a login is named, with the command that gives it; with the login it works', async () => {
    const address = `${registryHost.address}:5000`;
    const cwd = family({}, `registry: "${address}"\nregistries: { "${address}": { plainHttp: true } }`);
    const config = join(cwd, 'docker-config');
    mkdirSync(config);
    writeFileSync(join(config, 'config.json'), '{}');
    const refused = await splitbuild(['build'], { cwd, env: { DOCKER_CONFIG: config, HOME: cwd } });
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain(`docker login ${address}`);
    const auth = Buffer.from('ci:right').toString('base64');
    writeFileSync(join(config, 'config.json'), JSON.stringify({ auths: { [address]: { auth } } }));
    const accepted = await splitbuild(['build'], { cwd, env: { DOCKER_CONFIG: config, HOME: cwd } });
    expect(accepted.stderr).toContain('Published 1 image');
    expect(accepted.code).toBe(0);
    expect(accepted.stderr + accepted.stdout).not.toContain(auth);
    const seen = skopeo('inspect', '--raw', '--tls-verify=false', '--creds', 'ci:right', `docker://${address}/t/base`);
    expect(JSON.parse(seen)).toMatchObject({ manifests: [{ platform: { os: 'linux' } }] });
  });

  test('a registry with a certificate of a private authority is trusted by the CA file that the config names, and only then', async () => {
    const secure = lab.host('secure');
    const address = `${secure.address}:5000`;
    const { server } = makeTls(join(lab.folder, 'registry-tls'), secure.address);
    await secure.registry({ tls: server });
    const cwd = family({}, `registry: "${address}"\nregistries: { "${address}": { ca: ${server.ca} } }`);
    const built = await splitbuild(['build'], { cwd });
    // The engine has no such file: what it says of the certificate is passed on.
    expect(built.code).toBe(1);
    expect(built.stderr).toMatch(/x509|certificate/);
    const trusting = await splitbuild(['inspect', `${address}/t/base`], { cwd });
    expect(trusting.stderr).toMatch(/not found|no such|unknown/i);
    const config = join(cwd, 'splitbuild.yaml');
    writeFileSync(config, readFileSync(config, 'utf8').replace(/registries: .*/, ''));
    const distrusting = await splitbuild(['inspect', `${address}/t/base`], { cwd });
    expect(distrusting.code).toBe(1);
    expect(distrusting.stderr).toMatch(/certificate/);
    expect(distrusting.stderr).toContain('ca:');
  });

  test('a full disk fails the run and nothing of what was there; with room again the next run succeeds', async () => {
    const cwd = family({ big: 'FROM t/base\nRUN /bin/busybox dd if=/dev/urandom of=/big bs=1M count=12\n' });
    const state = join(cwd, '.splitbuild');
    mkdirSync(state);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', state]);
    try {
      const full = await splitbuild(['build'], { cwd });
      expect(full.code).toBe(1);
      expect(full.stderr).toContain('the disk is full');
      expect((await splitbuild(['verify', 't/base'], { cwd })).code).toBe(0);
      execFileSync('mount', ['-o', 'remount,size=64m', state]);
      const roomy = await splitbuild(['build'], { cwd });
      expect(roomy.code).toBe(0);
      expect((await splitbuild(['verify', 't/big'], { cwd })).code).toBe(0);
    } finally {
      execFileSync('umount', [state]);
    }
  });

  test('a journal that can’t be written stops the run with a word on why', async () => {
    const cwd = family({});
    const state = join(cwd, '.splitbuild');
    mkdirSync(join(state, 'runs'), { recursive: true });
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4k', 'tmpfs', join(state, 'runs')]);
    try {
      writeFileSync(join(state, 'runs/filler'), Buffer.alloc(4096));
      const full = await splitbuild(['build'], { cwd });
      expect(full.code).toBe(1);
      expect(full.stderr).toMatch(/the journal can't be written: ENOSPC/);
      rmSync(join(state, 'runs/filler'));
    } finally {
      execFileSync('umount', [join(state, 'runs')]);
    }
    expect((await splitbuild(['build'], { cwd })).code).toBe(0);
  });

  test('a secret reaches the build, and no event, journal, log or image', async () => {
    const secret = 'canary-5c1f0e77';
    const cwd = family(
      {
        safe: 'FROM t/base\nRUN --mount=type=secret,id=TOKEN /bin/busybox sh -c "echo got $(/bin/busybox cat /run/secrets/TOKEN)"\n',
      },
      '',
      { safe: ', secrets: [TOKEN]' },
    );
    const missing = await splitbuild(['build'], { cwd });
    expect(missing.stderr).toContain('a secret has no value: TOKEN');
    expect(missing.code).toBe(2);
    const ran = await splitbuild(['build', '--json'], { cwd, env: { TOKEN: secret } });
    expect(ran.code).toBe(0);
    expect(ran.stdout).toContain('got ***');
    expect(ran.stdout + ran.stderr).not.toContain(secret);
    // Journal and registry: every file of the run.
    expect(() => execFileSync('grep', ['-rqF', secret, join(cwd, '.splitbuild')])).toThrow();
    const repository = join(cwd, '.splitbuild/registry/t/safe/blobs/sha256');
    expect(existsSync(repository)).toBe(true);
  });

  test('a platform that no builder has natively is refused before anything is built', async () => {
    const other = here === 'linux/amd64' ? 'linux/arm64' : 'linux/amd64';
    const cwd = family({});
    const config = join(cwd, 'splitbuild.yaml');
    writeFileSync(config, readFileSync(config, 'utf8').replace(`[${here}]`, `[${here}, ${other}]`));
    const refused = await splitbuild(['build'], { cwd });
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain(`no builder is native for ${other}`);
    expect(refused.stderr).toContain('mode: emulated');
    expect(existsSync(join(cwd, '.splitbuild/runs'))).toBe(false);
    const partial = await splitbuild(['build', '--platform', here], { cwd });
    expect(partial.code).toBe(2);
    expect(partial.stderr).toContain('--no-publish');
    expect((await splitbuild(['build', '--platform', here, '--no-publish'], { cwd })).code).toBe(0);
    expect((await splitbuild(['verify', 't/base'], { cwd })).code).toBe(1);
  });

  test('with publish: family, one failure leaves every tag as it was', async () => {
    const cwd = family({ second: 'FROM t/base\nRUN exit 1\n' }, 'publish: family');
    expect((await splitbuild(['build'], { cwd })).code).toBe(1);
    expect((await splitbuild(['verify', 't/base'], { cwd })).code).toBe(1);
    writeFileSync(join(cwd, 'second/Dockerfile'), 'FROM t/base\n');
    expect((await splitbuild(['build'], { cwd })).code).toBe(0);
    expect((await splitbuild(['verify', 't/second'], { cwd })).code).toBe(0);
  });

  test('a git source is built at one commit, and its ref may move meanwhile', async () => {
    const repository = mkdtempSync(join(lab.folder, 'git-'));
    const git = (...args: string[]): string =>
      execFileSync('git', ['-C', repository, ...args], { encoding: 'utf8' }).trim();
    git('init', '--quiet', '--initial-branch', 'develop');
    mkdirSync(join(repository, 'docker'));
    writeFileSync(join(repository, 'docker/Dockerfile'), 'FROM t/base\nCOPY version /version\n');
    writeFileSync(join(repository, 'version'), 'one\n');
    const identity = ['-c', 'user.name=t', '-c', 'user.email=t@example.org'];
    git('add', '.');
    git(...identity, 'commit', '--quiet', '-m', 'one');
    const commit = git('rev-parse', 'HEAD');
    const cwd = family({});
    const config = join(cwd, 'splitbuild.yaml');
    const image = `  cloned: { repository: t/cloned, source: "file://${repository}#develop", dockerfile: docker/Dockerfile }\nbuilders`;
    writeFileSync(config, readFileSync(config, 'utf8').replace('builders', image));
    const ran = await splitbuild(['build', '--json'], { cwd });
    expect(ran.code).toBe(0);
    const [begun] = ran.events;
    expect(begun?.type === 'run-started' && begun.plan.tasks.find((task) => task.image === 'cloned')).toMatchObject({
      commit,
    });
    const missing = readFileSync(config, 'utf8').replace('#develop', '#nowhere');
    writeFileSync(config, missing);
    const refused = await splitbuild(['build'], { cwd });
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain("'nowhere'");
  });

  test('two runs at once on one state folder: the second says who holds it', async () => {
    const cwd = family({ slow: 'FROM t/base\nRUN /bin/busybox sleep 4\n' });
    let second: ReturnType<typeof splitbuild> | undefined;
    const first = await splitbuild(['build', '--json'], {
      cwd,
      onLine: (line) => {
        if (line.includes('"task-started"') && !second) second = splitbuild(['build'], { cwd });
      },
    });
    expect(first.code).toBe(0);
    const refused = await second;
    expect(refused?.code).toBe(1);
    expect(refused?.stderr).toMatch(/held|in use|another/i);
    expect(docker(local, 'image', 'ls', '--quiet', 't/base')).toBe('');
  });
});
