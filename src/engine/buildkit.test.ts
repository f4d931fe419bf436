// What buildctl is called with, and when a build counts as built and as pushed; the program here only says what buildctl 0.18 says.
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createBuildkitEngine } from './buildkit.ts';
import type { BuildRequest, Engine } from './engine.ts';

const signal = new AbortController().signal;
const digest = `sha256:${'5'.repeat(64)}`;
let folder: string;
let engine: Engine;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'splitbuild-buildctl-'));
  engine = createBuildkitEngine({
    address: 'tcp://kit:1234',
    tls: { ca: 'ca.pem', cert: 'cert.pem', key: 'key.pem' },
    endpoint: 'tcp://kit:1234',
    env: { PATH: `${folder}:${process.env.PATH}` },
  });
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** `script` runs after the arguments are kept, with the output's metadata file in $metadata. */
function buildctl(script: string): void {
  const file = join(folder, 'buildctl');
  writeFileSync(
    file,
    `#!/bin/sh\nprintf '%s\\n' "$@" > ${folder}/args\nfor word; do [ "$before" = --metadata-file ] && metadata=$word; case $word in dockerfile=*) cp "\${word#*=}"/* ${folder};; esac; before=$word; done\n${script}\n`,
  );
  chmodSync(file, 0o755);
}

const calledWith = (): string[] => readFileSync(join(folder, 'args'), 'utf8').split('\n');

const request: BuildRequest = {
  ...{
    context: '/src',
    dockerfile: 'FROM scratch\n',
    ignore: '*.log\n',
    platform: { os: 'linux', architecture: 'arm64' },
  },
  ...{
    target: 'app',
    args: { A: 'x,y=z' },
    secrets: { TOKEN: 'canary' },
    reference: '127.0.0.1:5000/t/a:1',
    plainHttp: true,
  },
};

test('a build is built when its export begins, and pushed when the solve ends', async () => {
  buildctl(
    `echo '#6 exporting to image' >&2; until [ -e ${folder}/go ]; do sleep 0.02; done; echo '{"containerimage.digest":"${digest}"}' > "$metadata"`,
  );
  expect(await engine.build(request, () => undefined, signal)).toEqual({ ok: true, value: undefined });
  let isPushed = false;
  const pushing = engine
    .push('127.0.0.1:5000/t/a:1', { plainHttp: true }, () => undefined, signal)
    .then((result) => {
      isPushed = true;
      return result;
    });
  await new Promise((done) => setTimeout(done, 50));
  expect(isPushed).toBe(false);
  writeFileSync(join(folder, 'go'), '');
  expect(await pushing).toEqual({ ok: true, value: { digest } });
});

test('values go as they are, secrets by environment, and the ignore rules beside the Dockerfile', async () => {
  buildctl(`echo "said $TOKEN"; exit 0`);
  const said: string[] = [];
  expect(await engine.build(request, (line) => said.push(line), signal)).toEqual({ ok: true, value: undefined });
  const words = calledWith();
  expect(words.slice(0, 8)).toEqual(
    '--addr tcp://kit:1234 --tlscacert ca.pem --tlscert cert.pem --tlskey key.pem'.split(' '),
  );
  expect(words).toEqual(expect.arrayContaining(['platform=linux/arm64', 'target=app', 'build-arg:A=x,y=z']));
  expect(words).toContain('id=TOKEN,env=TOKEN');
  expect(words.join(' ')).toContain('type=image,name=127.0.0.1:5000/t/a:1,push=true');
  expect(words.join(' ')).toContain('registry.insecure=true');
  expect(words.join(' ')).not.toContain('canary');
  expect(said).toEqual(['said canary']);
  expect(readFileSync(join(folder, 'Dockerfile.dockerignore'), 'utf8')).toBe('*.log\n');
});

test('what ends before the export is the build’s failure, and what ends in it the registry’s', async () => {
  const step = 'error: failed to solve: process "/bin/sh -c make" did not complete successfully: exit code: 3';
  buildctl(`echo '${step}' >&2; exit 1`);
  expect(await engine.build(request, () => undefined, signal)).toMatchObject({
    ok: false,
    failure: { kind: 'build', exitCode: 3 },
  });
  const push =
    'error: failed to solve: failed to push 127.0.0.1:5000/t/a:1: denied: requested access to the resource is denied';
  buildctl(`echo '#6 exporting to image' >&2; sleep 0.1; echo '${push}' >&2; exit 1`);
  expect(await engine.build(request, () => undefined, signal)).toMatchObject({ ok: true });
  const pushed = await engine.push('127.0.0.1:5000/t/a:1', { plainHttp: true }, () => undefined, signal);
  expect(pushed).toMatchObject({ ok: false, failure: { kind: 'registry', transient: false } });
});

test('a command is a step on the image, whose output alone is told, and whose code is the test’s', async () => {
  buildctl(
    `echo '#4 [1/2] FROM x' >&2; echo '#5 0.113 hi' >&2; echo 'error: failed to solve: process "sh -c exit 7" did not complete successfully: exit code: 7' >&2; exit 1`,
  );
  const said: string[] = [];
  const reference = `127.0.0.1:5000/t/a@${digest}`;
  const platform = { os: 'linux', architecture: 'arm64' };
  const command = 'echo "hi"\nexit 7';
  const done = await engine.run({ reference, platform, plainHttp: true, command }, (line) => said.push(line), signal);
  expect(done).toMatchObject({ ok: false, failure: { kind: 'check', exitCode: 7, log: ['hi'] } });
  expect(said).toEqual(['hi']);
  expect(readFileSync(join(folder, 'Dockerfile'), 'utf8')).toBe(
    `FROM ${reference}\nRUN ["sh","-c","echo \\"hi\\"\\nexit 7"]\n`,
  );
  expect(calledWith()).toContain('--no-cache');
  expect(existsSync(join(folder, 'Dockerfile.dockerignore'))).toBe(false);
});

test('without buildctl, it says what to install', async () => {
  const nowhere = createBuildkitEngine({ address: undefined, endpoint: 'local', env: { PATH: folder } });
  expect(await nowhere.probe(signal)).toMatchObject({
    ok: false,
    failure: { kind: 'engine', transient: false, help: expect.stringContaining('buildctl') },
  });
});
