// discoverFolder on small families made on the spot.
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type DiscoveredFamily, discoverFolder } from './discover.ts';

let root: string;

beforeEach(() => {
  root = join(mkdtempSync(join(tmpdir(), 'discover-')), 'stack');
  mkdirSync(root);
});

afterEach(() => rmSync(dirname(root), { recursive: true }));

function write(files: Record<string, string>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
}

async function discover(): Promise<DiscoveredFamily> {
  const result = await discoverFolder(root);
  if (!result.ok) throw new Error(JSON.stringify(result.failure));
  return result.value;
}

const arrows = ({ edges }: DiscoveredFamily): string[] => edges.map(({ from, to, via }) => `${from} → ${to} (${via})`);

test('images are named after their folders, and edges are found by the ends of names', async () => {
  write({
    'images/foundation/Dockerfile': 'FROM ubuntu:24.04\n',
    'images/base/Dockerfile': 'ARG REG=quay.io\nFROM $REG/org/foundation\n',
    'images/lab/Dockerfile':
      'FROM quay.io/org/base AS x\nFROM scratch\nCOPY --from=x / /\nCOPY --from=org/foundation:1 / /\n',
    'images/lab/cuda/Dockerfile': 'FROM quay.io/org/lab\n',
  });
  const family = await discover();
  expect(family.root).toBe(root);
  expect(family.images.map(({ name, dockerfile, folder }) => [name, dockerfile, folder])).toEqual([
    ['images/base', 'images/base/Dockerfile', 'images/base'],
    ['images/foundation', 'images/foundation/Dockerfile', 'images/foundation'],
    ['images/lab', 'images/lab/Dockerfile', 'images/lab'],
    ['images/lab/cuda', 'images/lab/cuda/Dockerfile', 'images/lab/cuda'],
  ]);
  expect(arrows(family)).toEqual([
    'images/foundation → images/base (quay.io/org/foundation)',
    'images/base → images/lab (quay.io/org/base)',
    'images/foundation → images/lab (org/foundation:1)',
    'images/lab → images/lab/cuda (quay.io/org/lab)',
  ]);
  expect(family.cycles).toBeUndefined();
});

test('variants carry their suffix; other files, .git and node_modules are passed over', async () => {
  write({
    Dockerfile: 'FROM alpine\n',
    'Dockerfile.redis': 'FROM org/stack\n',
    'app/Dockerfile': 'FROM alpine\n',
    'app/Dockerfile.cuda': 'FROM alpine\n',
    'app/cuda/Containerfile': 'FROM alpine\n',
    'app/dev.Dockerfile': 'FROM alpine\n',
    'app/Dockerfile.dockerignore': 'x\n',
    'app/Dockerfiles': 'x\n',
    '.git/Dockerfile': 'FROM alpine\n',
    'app/node_modules/x/Dockerfile': 'FROM alpine\n',
  });
  const family = await discover();
  expect(family.images.map(({ name }) => name)).toEqual([
    'app',
    'app/Dockerfile.cuda',
    'app/cuda',
    'app/dev',
    'redis',
    'stack',
  ]);
  expect(arrows(family)).toEqual(['stack → redis (org/stack)']);
});

test('the longest match wins, and no image is built on itself', async () => {
  write({
    'a/base/Dockerfile': 'FROM alpine\n',
    'b/base/Dockerfile': 'FROM alpine\n',
    'a/app/Dockerfile': 'FROM reg.io/x/b/base\n',
    'b/app/Dockerfile': 'FROM reg.io/x/base\n',
    'nginx/Dockerfile': 'FROM nginx:1\n',
    'php/8.3/Dockerfile': 'FROM debian\n',
    'php/8.4/Dockerfile': 'FROM debian\n',
    'web/Dockerfile': 'FROM org/php:8.3\n',
  });
  expect(arrows(await discover())).toEqual([
    'b/base → a/app (reg.io/x/b/base)',
    'b/base → b/app (reg.io/x/base)',
    'php/8.3 → web (org/php:8.3)',
  ]);
});

test("Docker Hub's own images are not folders elsewhere, but a bare name may be the folder beside", async () => {
  write({
    'firefox/alpine/Dockerfile': 'FROM debian\n',
    'curl/Dockerfile': 'FROM alpine:latest\n',
    'images/base/Dockerfile': 'FROM debian\n',
    'images/app/Dockerfile': 'FROM base\n',
  });
  expect(arrows(await discover())).toEqual(['images/base → images/app (base)']);
});

test('what is wrong with one Dockerfile is its problem alone', async () => {
  write({
    'good/Dockerfile': 'FROM alpine\n',
    'open/Dockerfile': 'ARG BASE\nFROM $BASE\n',
    'bad/Dockerfile': 'RUN true\n',
    'unused/Dockerfile': 'FROM org/good AS x\nFROM alpine\n',
  });
  const family = await discover();
  const problems = family.images.map((image) => [image.name, image.problems.map(({ code }) => code)]);
  expect(problems).toEqual([
    ['bad', ['dockerfile-syntax']],
    ['good', []],
    ['open', ['unresolved-reference']],
    ['unused', []],
  ]);
  expect(family.edges).toEqual([]);
});

test('a linked folder is an alias; links to themselves, to a parent and to nothing are survived', async () => {
  write({ 'bcc-tools/Dockerfile': 'FROM alpine\n', 'trace/Dockerfile': 'FROM r.io/bcc\n' });
  symlinkSync('bcc-tools', join(root, 'bcc'));
  symlinkSync('..', join(root, 'trace/up'));
  symlinkSync('self', join(root, 'self'));
  symlinkSync('nowhere', join(root, 'trace/Dockerfile.gone'));
  const family = await discover();
  expect(family.images.map(({ name, aliasOf }) => [name, aliasOf])).toEqual([
    ['bcc', 'bcc-tools'],
    ['bcc-tools', undefined],
    ['trace', undefined],
    ['trace/gone', undefined],
  ]);
  expect(family.images[3]?.problems).toMatchObject([{ code: 'no-dockerfile' }]);
  expect(arrows(family)).toEqual(['bcc-tools → trace (r.io/bcc)']);
});

test('a circle is told', async () => {
  write({ 'a/Dockerfile': 'FROM org/b\n', 'b/Dockerfile': 'FROM org/c\n', 'c/Dockerfile': 'FROM org/a\n' });
  expect((await discover()).cycles).toEqual([['a', 'c', 'b', 'a']]);
});

test('no folder, a file, and a folder without Dockerfiles are failures of usage, with help', async () => {
  write({ 'x/readme.md': '' });
  for (const path of ['none', 'x/readme.md', 'x']) {
    const result = await discoverFolder(join(root, path));
    expect(result).toMatchObject({ ok: false, failure: { kind: 'usage', help: expect.any(String) } });
  }
});
