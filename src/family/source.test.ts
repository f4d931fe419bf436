// Sources that try to get at more than their own files, by a real git: options, programs, submodules, links; and a login in a URL.
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, expect, test, vi } from 'vitest';
import { readConfig } from '../config/read.ts';
import { readFamily } from './family.ts';
import { createSourceFetcher } from './source.ts';

const root = mkdtempSync(join(tmpdir(), 'splitbuild-source-'));
afterAll(() => rmSync(root, { recursive: true }));
afterEach(() => vi.unstubAllEnvs());
const signal = new AbortController().signal;

function folder(): string {
  return mkdtempSync(join(root, 'f-'));
}

function git(cwd: string, ...args: string[]): string {
  const identity = ['-c', 'user.name=t', '-c', 'user.email=t@example.org', '-c', 'protocol.file.allow=always'];
  return execFileSync('git', ['-C', cwd, ...identity, ...args], { encoding: 'utf8', stdio: 'pipe' }).trim();
}

/** A repository with these files; a link has its target in braces. */
function repository(files: Record<string, string | { link: string }>): string {
  const top = folder();
  git(top, 'init', '--quiet', '--initial-branch', 'main');
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(top, name)), { recursive: true });
    if (typeof content === 'string') writeFileSync(join(top, name), content);
    else symlinkSync(content.link, join(top, name));
  }
  git(top, 'add', '.');
  git(top, 'commit', '--quiet', '--message', 'one');
  return top;
}

function fetchFrom(url: string, ref = 'main', state = folder()) {
  return createSourceFetcher(state, signal)({ kind: 'git', url, ref });
}

async function family(cwd: string, images: string) {
  const text = `version: 1\nfamily: f\nplatforms: [linux/amd64]\nimages:\n${images}`;
  const config = readConfig(text, { file: join(cwd, 'splitbuild.yaml'), env: {}, set: {} });
  if (!config.ok) throw new Error(JSON.stringify(config.failure));
  return readFamily(config.value, join(cwd, '.splitbuild'), signal);
}

const refusedOutside = (words: string) => ({
  failure: { kind: 'diagnostics', diagnostics: [{ code: 'path-outside', message: expect.stringContaining(words) }] },
});

test.each(['--upload-pack=touch MARK', '-x', '+main', 'main:refs/heads/x', '^main', 'a b', 'a..b', '', 'a\nb', 'a*'])(
  'the ref %j is refused before git sees it',
  async (ref) => {
    const mark = join(folder(), 'mark');
    const fetched = await fetchFrom(repository({ a: '' }), ref.replace('MARK', mark));
    expect(fetched).toMatchObject({ ok: false, failure: { kind: 'source', transient: false } });
    expect(JSON.stringify(fetched)).not.toContain('could not fetch');
    expect(existsSync(mark)).toBe(false);
  },
);

test.each([
  'ext::sh -c "touch MARK"',
  '--upload-pack=touch MARK',
  'ssh://-oProxyCommand=touch MARK/x',
  'ssh://ci@-oProxyCommand=touch MARK/x',
  '-oProxyCommand=touch MARK:x',
  'ci@-oProxyCommand=touch MARK:x',
])('the URL %j is refused before git sees it', async (url) => {
  const mark = join(folder(), 'mark');
  const fetched = await fetchFrom(url.replace('MARK', mark));
  expect(fetched).toMatchObject({ ok: false, failure: { kind: 'source', transient: false } });
  expect(JSON.stringify(fetched)).not.toContain('could not fetch');
  expect(existsSync(mark)).toBe(false);
});

test('a program to fetch with is not run either where git’s own config puts it in a URL’s place', async () => {
  const mark = join(folder(), 'mark');
  vi.stubEnv('GIT_CONFIG_COUNT', '2');
  vi.stubEnv('GIT_CONFIG_KEY_0', `url.ext::sh -c touch% ${mark}% .insteadOf`);
  vi.stubEnv('GIT_CONFIG_VALUE_0', 'https://h.example/');
  vi.stubEnv('GIT_CONFIG_KEY_1', 'protocol.ext.allow');
  vi.stubEnv('GIT_CONFIG_VALUE_1', 'always');
  const fetched = await fetchFrom('https://h.example/x.git');
  expect(fetched).toMatchObject({ failure: { message: expect.stringMatching(/transport 'ext' not allowed/) } });
  expect(existsSync(mark)).toBe(false);
});

test.each(['ext::sh -c "touch MARK"', 'file://OTHER', 'OTHER', '../other', '--upload-pack=touch MARK'])(
  'a submodule at %j is not fetched, and the source fails',
  async (url) => {
    const mark = join(folder(), 'mark');
    const other = repository({ secret: 'x' });
    const top = repository({ Dockerfile: 'FROM scratch\n' });
    git(top, 'submodule', '--quiet', 'add', `file://${other}`, 'sub');
    const modules = readFileSync(join(top, '.gitmodules'), 'utf8');
    const written = url.replace('MARK', mark).replace('OTHER', other).replaceAll('"', '\\"');
    writeFileSync(join(top, '.gitmodules'), modules.replace(/url = .*/, `url = "${written}"`));
    git(top, 'commit', '--quiet', '--all', '--message', 'two');
    const state = folder();
    const fetched = await fetchFrom(`file://${top}`, 'main', state);
    expect(fetched).toMatchObject({ ok: false, failure: { kind: 'source' } });
    expect(existsSync(mark)).toBe(false);
    expect(() => execFileSync('grep', ['-rq', '--include=secret', 'x', state])).toThrow();
  },
);

test('a repository that the environment names, as in a hook, is left alone', async () => {
  const [own, other] = [repository({ mine: 'x' }), repository({ theirs: 'y' })];
  vi.stubEnv('GIT_DIR', join(own, '.git'));
  vi.stubEnv('GIT_WORK_TREE', own);
  vi.stubEnv('GIT_INDEX_FILE', join(own, '.git/index'));
  const fetched = await fetchFrom(`file://${other}`);
  vi.unstubAllEnvs();
  if (!fetched.ok) throw new Error(JSON.stringify(fetched.failure));
  expect(existsSync(join(fetched.value.folder, 'theirs'))).toBe(true);
  expect(git(own, 'status', '--porcelain')).toBe('');
  expect(existsSync(join(own, 'mine'))).toBe(true);
  expect(git(own, 'branch', '--show-current')).toBe('main');
});

const dockerfile = 'FROM scratch\n';

test.each([
  ['a context that is a link to /etc', { docker: { link: '/etc' } }, 'context: docker', 'its context'],
  [
    'a link to the folder above',
    { docker: { link: '../..' }, Dockerfile: dockerfile },
    'context: docker',
    'its context',
  ],
  ['a Dockerfile that is a link', { Dockerfile: { link: '/etc/passwd' } }, '', 'its dockerfile'],
  [
    'a way into git’s own files',
    { docker: { link: '.git' }, Dockerfile: dockerfile },
    'context: docker',
    'its context',
  ],
  ['git’s own files', { Dockerfile: dockerfile }, 'context: .git', 'its context'],
])('%s is refused in a git source', async (_, files, keys, words) => {
  const source = `"file://${repository(files)}#main"`;
  const extra = keys === '' ? '' : `, ${keys}, dockerfile: Dockerfile`;
  const read = await family(folder(), `  a: { repository: o/a, source: ${source}${extra} }\n`);
  expect(read).toMatchObject(refusedOutside(words));
});

test('a subfolder that is a link out of the clone is refused, and one within it is followed', async () => {
  const files = {
    out: { link: '/' },
    in: { link: 'real' },
    'real/Dockerfile': { link: '../Dockerfile' },
    Dockerfile: dockerfile,
  };
  const source = repository(files);
  const image = (subdir: string): string => `  a: { repository: o/a, source: "file://${source}#main:${subdir}" }\n`;
  expect(await family(folder(), image('out'))).toMatchObject(refusedOutside('its source'));
  expect(await family(folder(), image('in'))).toMatchObject({ ok: true });
});

test('a folder’s links are followed within the config’s folder, and not out of it', async () => {
  const cwd = folder();
  for (const name of ['shared', 'a', 'b', 'c']) mkdirSync(join(cwd, name));
  writeFileSync(join(cwd, 'shared/Dockerfile'), dockerfile);
  symlinkSync('../shared/Dockerfile', join(cwd, 'a/Dockerfile'));
  expect(await family(cwd, '  a: { repository: o/a, source: ./a }\n')).toMatchObject({ ok: true });
  const outside = folder();
  writeFileSync(join(outside, 'Dockerfile'), dockerfile);
  symlinkSync(outside, join(cwd, 'd'));
  symlinkSync(outside, join(cwd, 'b/context'));
  symlinkSync(join(outside, 'Dockerfile'), join(cwd, 'c/Dockerfile'));
  const image = (rest: string): string => `  a: { repository: o/a, ${rest} }\n`;
  expect(await family(cwd, image('source: ./d'))).toMatchObject(refusedOutside('its source'));
  expect(await family(cwd, image('source: ./b, context: context'))).toMatchObject(refusedOutside('its context'));
  expect(await family(cwd, image('source: ./c'))).toMatchObject(refusedOutside('its dockerfile'));
  // A config that is itself reached by a link has its folder where the link leads.
  const link = join(folder(), 'link');
  symlinkSync(cwd, link);
  expect(await family(link, image('source: ./a'))).toMatchObject({ ok: true });
});

/** A git host that wants a login: `git http-backend` behind Basic authentication. */
async function gitHost(projects: string, login: string): Promise<{ url: string; close(): void }> {
  const server = createServer((request, response) => {
    if (request.headers.authorization !== `Basic ${Buffer.from(login).toString('base64')}`) {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="git"' }).end();
      return;
    }
    const url = new URL(request.url ?? '/', 'http://h');
    const backend = spawn('git', ['http-backend'], {
      env: {
        ...{ PATH: process.env.PATH, GIT_PROJECT_ROOT: projects, GIT_HTTP_EXPORT_ALL: '1', PATH_INFO: url.pathname },
        ...{ QUERY_STRING: url.search.slice(1), REQUEST_METHOD: request.method, REMOTE_USER: 'ci' },
        ...{
          CONTENT_TYPE: request.headers['content-type'],
          GIT_PROTOCOL: String(request.headers['git-protocol'] ?? ''),
        },
        ...{ HTTP_CONTENT_ENCODING: request.headers['content-encoding'] },
        ...{ GIT_CONFIG_COUNT: '1', GIT_CONFIG_KEY_0: 'safe.directory', GIT_CONFIG_VALUE_0: '*' },
      },
    });
    request.pipe(backend.stdin);
    const parts: Buffer[] = [];
    backend.stdout.on('data', (part: Buffer) => parts.push(part));
    backend.on('close', () => {
      const answer = Buffer.concat(parts);
      const end = answer.indexOf('\r\n\r\n');
      const headers = answer.subarray(0, end).toString('latin1').split('\r\n');
      for (const header of headers) response.setHeader(header.split(': ')[0] ?? '', header.split(': ')[1] ?? '');
      response.end(answer.subarray(end + 4));
    });
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return { url: `127.0.0.1:${(server.address() as AddressInfo).port}`, close: () => void server.close() };
}

test('a login in a URL lets git in, and is neither left in the clone nor in what is said when it is refused', async () => {
  const projects = repository({ Dockerfile: dockerfile });
  const host = await gitHost(projects, 'ci:canary-51/+x');
  try {
    const state = folder();
    const login = `ci:${encodeURIComponent('canary-51/+x')}`;
    const fetched = await fetchFrom(`http://${login}@${host.url}/.git`, 'main', state);
    expect(fetched).toMatchObject({ ok: true, value: { commit: git(projects, 'rev-parse', 'main') } });
    expect(() => execFileSync('grep', ['-rqE', 'canary-51', state])).toThrow();
    for (const url of [`http://ci:canary-52@${host.url}/.git`, `http://${login}@${host.url}/none.git`]) {
      const refused = await fetchFrom(url, 'main', state);
      expect(refused).toMatchObject({ ok: false, failure: { kind: 'source' } });
      expect(JSON.stringify(refused)).not.toMatch(/canary-5|%2F/);
      expect(JSON.stringify(refused)).toContain('ci:***@');
    }
    expect(JSON.stringify(await fetchFrom(`http://${login}@${host.url}/.git`, '-x'))).not.toContain('canary');
  } finally {
    host.close();
  }
});
