// Canaries planted as secrets, and looked for in everything that is left of a run and in everything that it said.
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createDockerEngine } from '../src/engine/docker.ts';
import type { BuildRequest } from '../src/engine/engine.ts';
import { secretsIn } from '../src/image/history.ts';
import { createRegistryClient } from '../src/registry/client.ts';
import { startEmbeddedRegistry } from '../src/registry/embedded.ts';
import { createLab, type DockerHost, type Lab, labProblem } from './lab/lab.ts';
import { type Ran, splitbuild } from './lab/splitbuild.ts';

const problem = labProblem();
const here = process.arch === 'arm64' ? 'linux/arm64' : 'linux/amd64';
const program = join(import.meta.dirname, '../dist/cli.js');

const token = "canary-1f/+'x y&z";
const key = '-----BEGIN KEY-----\ncanary2LineOneOfTheKey\ncanary2LineTwoOfTheKey\n-----END KEY-----\n';
const env = { TOKEN: token, KEY: key };

/** What must not be found anywhere: the values' own words, and what programs make of them. */
const traces = [
  ...[token, encodeURIComponent(token), JSON.stringify(token).slice(1, -1), token.replaceAll("'", "'\\''")],
  ...['canary-1f', 'canary2Line'],
  ...[token, `${token}\n`, `ci:${token}`].map((text) => Buffer.from(text).toString('base64').slice(4, 20)),
];

function expectClean(text: string, where: string): void {
  for (const trace of traces) if (text.includes(trace)) throw new Error(`${where} holds ${trace}`);
}

type Given = Partial<Pick<BuildRequest, 'args' | 'secrets'>>;

/** Every file below a folder, blobs unpacked. */
function expectCleanFolder(folder: string): number {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  for (const file of files) {
    const path = join(file.parentPath, file.name);
    const bytes = readFileSync(path);
    const packed = bytes[0] === 0x1f && bytes[1] === 0x8b;
    expectClean((packed ? gunzipSync(bytes) : bytes).toString('latin1'), path);
  }
  return files.length;
}

function expectCleanRun(ran: Ran, cwd: string): void {
  expectClean(ran.stdout, 'stdout');
  expectClean(ran.stderr, 'stderr');
  expect(expectCleanFolder(join(cwd, '.splitbuild'))).toBeGreaterThan(2);
}

const mounted = 'RUN --mount=type=secret,id=TOKEN --mount=type=secret,id=KEY';
const say = [
  't=$(/bin/busybox cat /run/secrets/TOKEN)',
  '/bin/busybox echo "plain $t"',
  '/bin/busybox printf "json {\\"t\\": \\"%s\\"}\\n" "$t"',
  '/bin/busybox printf %s "$t" | /bin/busybox base64',
  '/bin/busybox printf "ci:%s" "$t" | /bin/busybox base64',
  '/bin/busybox printf "x-access-token:%s" "$t" | /bin/busybox base64',
  `/bin/busybox echo "https://ci:$(/bin/busybox printf %s "$t" | /bin/busybox sed "s|/|%2F|;s|+|%2B|;s|'|%27|;s| |%20|;s|&|%26|")@h/x"`,
  'set -x; : "$t"; set +x',
  '/bin/busybox cat /run/secrets/KEY',
  '/bin/busybox cat /run/secrets/KEY >&2',
].join('; ');

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'splitbuild-secrets-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A folder with a config, and an image folder for each Dockerfile. */
function family(dockerfiles: Record<string, string>, keys: Record<string, string>, more = ''): string {
  const cwd = mkdtempSync(join(folder, 'family-'));
  for (const [name, text] of Object.entries(dockerfiles)) {
    mkdirSync(join(cwd, name));
    writeFileSync(join(cwd, name, 'Dockerfile'), text);
  }
  const images = Object.keys(dockerfiles).map(
    (name) => `  ${name}: { repository: t/${name}, source: ./${name}${keys[name] ?? ''} }`,
  );
  const text = `version: 1\nfamily: t\nplatforms: [${here}]\nimages:\n${images.join('\n')}\n${more}`;
  writeFileSync(join(cwd, 'splitbuild.yaml'), text);
  return cwd;
}

describe('without an engine', () => {
  test.each(['build', 'plan', 'plan --json'])('%s refuses a value among the build arguments', async (command) => {
    const cwd = family({ a: 'FROM scratch\n' }, { a: ', secrets: [TOKEN], args: { A: "Bearer ${env:TOKEN}" }' });
    const ran = await splitbuild(command.split(' '), { cwd, env });
    expect(ran.code).toBe(2);
    expect(ran.stderr).toContain("build argument 'A' of image 'a' holds the value of the secret 'TOKEN'");
    expectClean(ran.stdout + ran.stderr, 'output');
  });

  test.each([
    ['a name that it can’t have', ', secrets: [TOKEN], tags: ["${env:TOKEN}"]'],
    ['a reference', ', secrets: [TOKEN], mirror: "${env:TOKEN}"'],
    ['an unknown key', ', secrets: [TOKEN], "${env:TOKEN}": 1'],
    ['a path', ', secrets: [TOKEN], dockerfile: "${env:TOKEN}"'],
  ])('what is said of a config that is wrong, with a value as %s', async (_, keys) => {
    const ran = await splitbuild(['build'], { cwd: family({ a: 'FROM scratch\n' }, { a: keys }), env });
    expect(ran.code).toBe(2);
    expectClean(ran.stdout + ran.stderr, 'output');
  });

  test('what git says of a URL with a login, and what lies in the state folder after it', async () => {
    const login = encodeURIComponent(token).replaceAll("'", '%27');
    const cwd = family(
      { a: 'FROM scratch\n' },
      {},
      `  b: { repository: t/b, source: "http://ci:${login}@127.0.0.1:9/x#main" }\n`,
    );
    for (const args of [['build'], ['build', '--json'], ['plan']]) {
      const ran = await splitbuild(args, { cwd });
      expect(ran.code).toBe(1);
      expect(ran.stderr).toContain('http://ci:***@127.0.0.1:9/x');
      expectClean(ran.stdout + ran.stderr, 'output');
    }
    expectCleanFolder(join(cwd, '.splitbuild'));
  });

  test.each(['circleci', 'github', 'gitlab'])('a %s pipeline', async (provider) => {
    const cwd = family({ a: 'FROM scratch\n' }, { a: ', secrets: [TOKEN]' });
    const written = await splitbuild(['ci', 'generate', provider], { cwd, env });
    expect(written.code).toBe(0);
    const refused = await splitbuild(['ci', 'generate', provider, '--set', `x=${token}`, '--out', '-'], { cwd, env });
    expect(refused.code).toBe(2);
    for (const ran of [written, refused]) expectClean(ran.stdout + ran.stderr, 'output');
    expectCleanFolder(cwd);
  });

  test('a rehearsal: its output, its events and its record', async () => {
    const cwd = mkdtempSync(join(folder, 'rehearse-'));
    const script = `echo "$TOKEN"; echo "$KEY" >&2; printf 'ci:%s' "$TOKEN" | base64; printf '%s' "$TOKEN" | base64; set -x; : "$TOKEN"`;
    const step = (run: string): string => JSON.stringify({ run: { name: 'say', command: run } });
    const jobs = `jobs:\n  say: { docker: [ image: x ], steps: [ ${step(script)}, ${step('gh release create "$TOKEN" --notes "$KEY"')}, ${step(`${script}; exit 3`)} ] }\n`;
    const workflows = 'workflows: { w: { jobs: [ say: { context: [c] } ] } }\n';
    writeFileSync(join(cwd, 'config.yml'), `version: 2.1\n${jobs}${workflows}`);
    const contexts = join(folder, 'contexts.yml');
    writeFileSync(contexts, JSON.stringify({ c: env }));
    const args = ['ci', 'rehearse', 'config.yml', 'w', '--contexts', contexts, '--record', 'record', '--branch', 'b'];
    for (const more of [[], ['--json'], ['--verbose']]) {
      const ran = await splitbuild([...args, ...more], { cwd });
      expect(ran.code).toBe(1);
      expect(ran.stdout + ran.stderr).toContain('***');
      expectClean(ran.stdout + ran.stderr, 'output');
    }
    expect(readFileSync(join(cwd, 'record'), 'utf8')).toContain('***');
    expectCleanFolder(cwd);
  });
});

describe.skipIf(problem)(`in the lab${problem ? ` (skipped: ${problem})` : ''}`, () => {
  let lab: Lab;
  let local: DockerHost;

  beforeAll(async () => {
    execFileSync('bash', ['scripts/busybox.sh', 'examples/quickstart/base'], { stdio: 'ignore' });
    lab = createLab(12);
    local = await lab.localDocker();
  });
  afterAll(async () => lab?.close());

  const base = 'FROM scratch\nCOPY busybox /bin/busybox\nCOPY busybox /bin/sh\n';
  const secrets = ', secrets: [TOKEN, KEY]';

  /** Images that say their secrets; the last one fails with them. */
  function talking(builder: string): string {
    const dockerfiles = {
      base,
      says: `FROM t/base\n${mounted} ${say}\n`,
      fails: `FROM t/base\n${mounted} ${say}; /bin/busybox echo "fatal: $t" >&2; exit 3\n`,
    };
    const cwd = family(dockerfiles, { says: secrets, fails: secrets }, `builders: [ ${builder} ]\n`);
    copyFileSync(`examples/quickstart/base/busybox-${here.slice(6)}`, join(cwd, 'base/busybox'));
    return cwd;
  }

  function builderOf(engine: string): string {
    return engine === 'buildah'
      ? '{ name: here, endpoint: local, engine: buildah }'
      : `{ name: here, endpoint: "unix://${local.socket}" }`;
  }

  /** Buildah's own storage of the lab. */
  function storage(): Record<string, string> {
    const place = join(lab.folder, 'buildah');
    mkdirSync(place, { recursive: true });
    const text = `[storage]\ndriver = "overlay"\nrunroot = "${place}/run"\ngraphroot = "${place}/graph"\n`;
    writeFileSync(join(place, 'storage.conf'), text);
    return { CONTAINERS_STORAGE_CONF: join(place, 'storage.conf') };
  }

  test.each(['docker', 'buildah'])(
    'builds by %s that say their secrets, and one that fails with them',
    async (engine) => {
      for (const args of [['build', '--verbose'], ['build', '--json'], ['build']]) {
        const cwd = talking(builderOf(engine));
        const ran = await splitbuild(args, { cwd, env: { ...storage(), ...env } });
        expect(ran.code).toBe(1);
        expect(ran.stdout + ran.stderr).toContain('plain ***');
        expect(ran.stdout + ran.stderr).toContain('fatal: ***');
        expectCleanRun(ran, cwd);
      }
    },
  );

  test('a terminal shows no value either', () => {
    const cwd = talking(builderOf('docker'));
    const command = `stty cols 200 rows 50; "${process.execPath}" "${program}" build`;
    let shown = '';
    try {
      execFileSync('script', ['--quiet', '--return', '--command', command, '/dev/null'], {
        ...{ cwd, env: { ...process.env, ...env, CI: '', TERM: 'xterm' }, encoding: 'utf8' },
      });
    } catch (error) {
      shown = error instanceof Error && 'stdout' in error ? String(error.stdout) : '';
    }
    expect(shown).toContain('fatal: ***');
    expectClean(shown, 'the terminal');
  });

  test('a value that a build argument took into an image is found there, and one that was mounted is not', async () => {
    const registry = await startEmbeddedRegistry({ root: join(lab.folder, 'registry') });
    if (!registry.ok) throw new Error(JSON.stringify(registry.failure));
    const { address } = registry.value;
    try {
      const context = join(talking(builderOf('docker')), 'base');
      const client = createRegistryClient({ plainHttp: () => true });
      const signal = new AbortController().signal;
      const engine = createDockerEngine({
        connection: { kind: 'host', address: `unix://${local.socket}` },
        endpoint: 'local',
        env: process.env,
      });
      const platform = { os: 'linux', architecture: here.slice(6) };
      const find = async (name: string, steps: string, given: Given): Promise<string[]> => {
        const dockerfile = `${base}${steps}`;
        const reference = `${address}/t/${name}:x`;
        const request = { context, dockerfile, platform, args: {}, secrets: {}, reference, plainHttp: true, ...given };
        const said: string[] = [];
        const built = await engine.build(request, (line) => said.push(line), signal);
        if (!built.ok) throw new Error(said.join('\n'));
        const pushed = await engine.push(reference, { plainHttp: true }, () => undefined, signal);
        if (!pushed.ok) throw new Error(JSON.stringify(pushed.failure));
        const repository = { registry: address, repository: `t/${name}` };
        const manifest = await client.getManifest({ ...repository, tag: 'x' }, signal);
        if (!manifest.ok) throw new Error(JSON.stringify(manifest.failure));
        const found = await secretsIn(client, repository, manifest.value.descriptor, [token], signal);
        if (!found.ok) throw new Error(JSON.stringify(found.failure));
        expectClean(JSON.stringify(found.value), 'the places');
        return found.value;
      };
      const given = { args: { TOKEN: token } };
      expect(
        await find('clean', 'RUN --mount=type=secret,id=TOKEN /bin/busybox true\n', { secrets: { TOKEN: token } }),
      ).toEqual([]);
      expect(await find('history', 'ARG TOKEN\nRUN /bin/busybox touch /x\n', given)).toEqual([
        expect.stringMatching(/^history\[\d+\]\.created_by$/),
      ]);
      expect(await find('kept', 'ARG TOKEN\nENV FOO=$TOKEN\nLABEL x=$TOKEN\n', given)).toEqual(
        expect.arrayContaining(['config.Env FOO', 'label x']),
      );
    } finally {
      await registry.value.close();
    }
  });
});
