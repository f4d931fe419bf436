// Stored logins, in files as docker and podman write them, and from a helper that is a real program.
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { storedCredentials } from './credentials.ts';

const signal = AbortSignal.timeout(30_000);
let folder = '';
let env: Record<string, string | undefined> = {};

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'credentials-'));
  env = { HOME: folder, DOCKER_CONFIG: folder, PATH: `${folder}${delimiter}${process.env.PATH}` };
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const base64 = (text: string): string => Buffer.from(text).toString('base64');
const write = (config: unknown) =>
  writeFile(join(folder, 'config.json'), typeof config === 'string' ? config : JSON.stringify(config));
const get = (registry: string) => storedCredentials(env).get(registry, signal);

async function helper(name: string, script: string): Promise<void> {
  const file = join(folder, `docker-credential-${name}`);
  await writeFile(file, `#!/bin/sh\n${script}\n`);
  await chmod(file, 0o755);
}

test('without a file, everybody is anonymous', async () => {
  expect(await get('docker.io')).toEqual({ ok: true, value: undefined });
});

test.each([
  { registry: 'docker.io', key: 'https://index.docker.io/v1/' },
  { registry: 'docker.io', key: 'index.docker.io' },
  { registry: 'quay.io', key: 'quay.io' },
  { registry: 'quay.io', key: 'https://quay.io/v2/' },
  { registry: 'localhost:5000', key: 'http://localhost:5000' },
])('finds $registry under $key', async ({ registry, key }) => {
  await write({ auths: { 'other.io': { auth: base64('x:y') }, [key]: { auth: base64('ada:pass:word') } } });
  expect(await get(registry)).toEqual({ ok: true, value: { kind: 'basic', username: 'ada', password: 'pass:word' } });
});

test('a host is not found by another’s port or name', async () => {
  await write({ auths: { 'localhost:5000': { auth: base64('a:b') } } });
  expect(await get('localhost:5001')).toEqual({ ok: true, value: undefined });
  expect(await get('localhost')).toEqual({ ok: true, value: undefined });
});

test('an identity token wins over the password that stands beside it', async () => {
  await write({ auths: { 'a.io': { auth: base64('ada:'), identitytoken: 'idt' }, 'b.io': { registrytoken: 'rt' } } });
  expect(await get('a.io')).toEqual({ ok: true, value: { kind: 'identity', token: 'idt' } });
  expect(await get('b.io')).toEqual({ ok: true, value: { kind: 'token', token: 'rt' } });
});

test('the helper of a registry is asked for it, with the name on stdin, and once', async () => {
  await helper(
    'one',
    `cat > ${folder}/asked; echo x >> ${folder}/times; echo '{"ServerURL":"a.io","Username":"ada","Secret":"s"}'`,
  );
  await write({ auths: { 'a.io': {} }, credHelpers: { 'a.io': 'one' } });
  const store = storedCredentials(env);
  for (let times = 0; times < 2; times += 1) {
    expect(await store.get('a.io', signal)).toEqual({
      ok: true,
      value: { kind: 'basic', username: 'ada', password: 's' },
    });
  }
  expect(await readFile(join(folder, 'asked'), 'utf8')).toBe('a.io');
  expect(await readFile(join(folder, 'times'), 'utf8')).toBe('x\n');
});

test('the common helper knows Docker Hub by its old address, and may have an identity token', async () => {
  await helper('all', `[ "$(cat)" = https://index.docker.io/v1/ ] && echo '{"Username":"<token>","Secret":"idt"}'`);
  await write({ credsStore: 'all' });
  expect(await get('docker.io')).toEqual({ ok: true, value: { kind: 'identity', token: 'idt' } });
});

test('a helper that knows nothing makes anonymous', async () => {
  await helper('none', 'echo credentials not found in native keychain; exit 1');
  await write({ credsStore: 'none' });
  expect(await get('a.io')).toEqual({ ok: true, value: undefined });
});

test.each([
  { name: 'is missing', script: undefined, message: /is not installed$/ },
  { name: 'fails', script: 'echo hunter2; echo hunter2 >&2; exit 3', message: /ended with 3$/ },
  { name: 'talks nonsense', script: 'echo hunter2', message: /didn't answer with a username and a secret$/ },
])('a helper that $name is a failure without what it said', async ({ script, message }) => {
  if (script) await helper('bad', script);
  await write({ credsStore: 'bad' });
  const got = await get('a.io');
  expect(got).toMatchObject({ ok: false, failure: { kind: 'system', message: expect.stringMatching(message) } });
  expect(JSON.stringify(got)).not.toContain('hunter2');
});

test.each([
  { name: 'no JSON', config: '{"auths": hunter2' },
  { name: 'the wrong shape', config: { auths: { 'a.io': { auth: ['hunter2'] } } } },
  { name: 'no password in it', config: { auths: { 'a.io': { auth: base64('hunter2') } } } },
])('a file with $name is a failure that names the file, and quotes nothing', async ({ config }) => {
  await write(config);
  const got = await get('a.io');
  expect(got).toMatchObject({ ok: false, failure: { kind: 'system', where: join(folder, 'config.json') } });
  expect(JSON.stringify(got)).not.toMatch(/hunter2|aHVudGVyMg/);
});

test('podman’s file is read where docker’s has nothing, and REGISTRY_AUTH_FILE before it', async () => {
  const file = join(folder, 'auth.json');
  await writeFile(file, JSON.stringify({ auths: { 'a.io': { auth: base64('pod:man') } } }));
  await write({ auths: { 'a.io': { auth: base64('doc:ker') }, 'b.io': { auth: base64('doc:ker') } } });
  env.REGISTRY_AUTH_FILE = file;
  expect(await get('a.io')).toMatchObject({ value: { username: 'pod' } });
  expect(await get('b.io')).toMatchObject({ value: { username: 'doc' } });
});
