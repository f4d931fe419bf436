// Families of real files: which image is built on which, and what is refused.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { readConfig } from '../config/read.ts';
import type { Diagnostic } from '../failure.ts';
import { formatPlatform } from '../image/platform.ts';
import { makePlan } from '../plan/make-plan.ts';
import { type Family, readFamily } from './family.ts';

const root = mkdtempSync(join(tmpdir(), 'splitbuild-family-'));
afterAll(() => rmSync(root, { recursive: true }));
const signal = new AbortController().signal;

function write(files: Record<string, string>): string {
  const folder = mkdtempSync(join(root, 'f-'));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  return folder;
}

function configOf(folder: string, yaml: string, set: Record<string, string> = {}) {
  const config = readConfig(`version: 1\nfamily: f\n${yaml}`, { file: join(folder, 'splitbuild.yaml'), env: {}, set });
  if (!config.ok) throw new Error(JSON.stringify(config.failure));
  return config.value;
}

async function read(files: Record<string, string>, yaml: string) {
  const folder = write(files);
  const config = configOf(folder, yaml);
  return { config, family: await readFamily(config, join(folder, '.splitbuild'), signal) };
}

async function problems(files: Record<string, string>, yaml: string): Promise<Diagnostic[]> {
  const { family } = await read(files, yaml);
  if (family.ok || family.failure.kind !== 'diagnostics') throw new Error('accepted');
  return family.failure.diagnostics;
}

/** `app ← base@linux/amd64 …`, an image a line. */
function edges(family: Family): string[] {
  return family.images.map(
    ({ name, builds }) =>
      `${name} ← ${builds
        .flatMap(({ platform, upstreams }) =>
          upstreams.map((upstream) => `${formatPlatform(platform)}: ${upstream.image}@${upstream.platform}`),
        )
        .join(', ')}`,
  );
}

const two = 'platforms: [linux/amd64, linux/arm64]\n';

test('edges come from FROM, COPY --from and mounts, by every way to write the repository, and images come after what they need', async () => {
  const { family } = await read(
    {
      'app/Dockerfile':
        'ARG REGISTRY=docker.io\nFROM ${REGISTRY}/o/base:develop\nCOPY --from=r.example:5000/team/o/data:develop /d /d\nRUN --mount=type=bind,from=o/tools:develop,target=/t true\n',
      'tools/Dockerfile': 'FROM o/base:develop\n',
      'data/Dockerfile': 'FROM scratch\nCOPY . /\n',
      'base/Dockerfile': 'FROM debian:12\n',
    },
    `${two}tags: [develop]\nregistry: r.example:5000/team\nimages:\n  app: { repository: o/app, source: app }\n  tools: { repository: o/tools, source: tools }\n  data: { repository: o/data, source: data }\n  base: { repository: o/base, source: base }\n`,
  );
  if (!family.ok) throw new Error(JSON.stringify(family.failure));
  expect(family.value.images.map(({ name }) => name)).toEqual(['base', 'data', 'tools', 'app']);
  expect(edges(family.value)).toContain(
    'app ← linux/amd64: base@linux/amd64, linux/amd64: data@linux/amd64, linux/amd64: tools@linux/amd64, linux/arm64: base@linux/arm64, linux/arm64: data@linux/arm64, linux/arm64: tools@linux/arm64',
  );
  expect(family.value.images[0]?.builds[0]?.externals).toEqual([
    { reference: 'docker.io/library/debian:12', range: { start: 5, end: 14 } },
  ]);
});

test('FROM --platform=$BUILDPLATFORM needs that platform’s image; an arch tag means the image of its platform', async () => {
  const { config, family } = await read(
    {
      'tools/Dockerfile': 'FROM scratch\nCOPY . /\n',
      'app/Dockerfile':
        'ARG TAG\nFROM --platform=linux/amd64 o/tools:develop AS cross\nFROM o/tools:${TAG}\nCOPY --from=cross / /\n',
    },
    `${two}tags: [develop]\nimages:\n  tools: { repository: o/tools, source: tools }\n  app: { repository: o/app, source: app, args: { TAG: "\${archTag}" } }\n`,
  );
  if (!family.ok) throw new Error(JSON.stringify(family.failure));
  expect(edges(family.value)[1]).toBe(
    'app ← linux/amd64: tools@linux/amd64, linux/amd64: tools@linux/amd64, linux/arm64: tools@linux/amd64, linux/arm64: tools@linux/arm64',
  );
  const plan = makePlan(config, family.value, { images: ['app'], platforms: [{ os: 'linux', architecture: 'arm64' }] });
  expect(plan.ok && plan.value.tasks.filter((task) => task.kind === 'build').map((task) => task.id)).toEqual([
    'build tools linux/amd64',
    'build tools linux/arm64',
    'build app linux/arm64',
  ]);
});

test('another tag of a family’s repository, or a digest, is somebody else’s image', async () => {
  const { family } = await read(
    {
      'base/Dockerfile': 'FROM scratch\nCOPY . /\n',
      'app/Dockerfile': `FROM o/base:v1 AS old\nFROM o/base@sha256:${'a'.repeat(64)}\nCOPY --from=old / /\n`,
    },
    'platforms: [linux/amd64]\nimages:\n  base: { repository: o/base, source: base }\n  app: { repository: o/app, source: app }\n',
  );
  if (!family.ok) throw new Error(JSON.stringify(family.failure));
  expect(edges(family.value)).toEqual(['base ← ', 'app ← ']);
  expect(family.value.warnings.map(({ code, location }) => [code, location?.line])).toEqual([
    ['other-tag', 1],
    ['other-tag', 2],
  ]);
});

test('a circle is refused with its path, and the place of the reference that closes it', async () => {
  const [found] = await problems(
    {
      'a/Dockerfile': 'FROM o/b\n',
      'b/Dockerfile': 'FROM o/c\n',
      'c/Dockerfile': 'FROM scratch\nCOPY --from=o/a / /\n',
    },
    'platforms: [linux/amd64]\nimages:\n  a: { repository: o/a, source: a }\n  b: { repository: o/b, source: b }\n  c: { repository: o/c, source: c }\n',
  );
  expect(found?.message).toBe('images depend on each other in a circle: a → b → c → a');
  expect(found?.location).toMatchObject({ line: 2, column: 13, text: 'COPY --from=o/a / /' });
});

test('all that is wrong in several images is told at once', async () => {
  const found = await problems(
    {
      'a/Dockerfile': 'FROM o/b\nRUNN x\n',
      'b/Dockerfile': 'ARG V\nFROM ${V}\n',
      'd/Dockerfile': 'FROM o/e\n',
      'e/Dockerfile': 'FROM scratch\nCOPY . /\n',
    },
    `${two}images:\n  a: { repository: o/a, source: a }\n  b: { repository: o/b, source: b }\n  c: { repository: o/c, source: c }\n  d: { repository: o/d, source: d }\n  e: { repository: o/e, source: e, platforms: [linux/amd64] }\n`,
  );
  expect(found.map(({ code }) => code)).toEqual(
    expect.arrayContaining(['dockerfile-syntax', 'unresolved-reference', 'no-dockerfile', 'upstream-platform']),
  );
  expect(found.find(({ code }) => code === 'upstream-platform')?.message).toContain(
    "image 'd' for linux/arm64 is built on 'e', which has no linux/arm64 (only linux/amd64)",
  );
});

test('a git source is fetched once a run, at one commit for all its images, with its subfolder', async () => {
  const repository = write({ 'images/a/Dockerfile': 'FROM scratch\nCOPY . /\n', 'images/b/Dockerfile': 'FROM o/a\n' });
  const git = (...args: string[]): string =>
    execFileSync('git', ['-C', repository, '-c', 'user.name=t', '-c', 'user.email=t@example.org', ...args], {
      encoding: 'utf8',
    }).trim();
  git('init', '--quiet', '--initial-branch', 'main');
  git('add', '.');
  git('commit', '--quiet', '--message', 'one');
  git('tag', 'v1');
  const commit = git('rev-parse', 'HEAD');
  const source = (ref: string, folder: string): string => `"file://${repository}#${ref}:images/${folder}"`;
  const { family } = await read(
    {},
    `${two}images:\n  a: { repository: o/a, source: ${source('v1', 'a')} }\n  b: { repository: o/b, source: ${source('v1', 'b')} }\n`,
  );
  if (!family.ok) throw new Error(JSON.stringify(family.failure));
  expect(family.value.images.map((image) => image.commit)).toEqual([commit, commit]);
  expect(edges(family.value)[1]).toContain('linux/arm64: a@linux/arm64');
});

test.each(['--upload-pack=touch /tmp/x', 'nowhere'])(
  'the ref %j is refused, and is never an option of git',
  async (ref) => {
    const repository = write({ Dockerfile: 'FROM scratch\n' });
    execFileSync('git', ['-C', repository, 'init', '--quiet']);
    const folder = write({});
    const config = configOf(folder, 'platforms: [linux/amd64]\nimages: { a: { repository: o/a, source: . } }\n');
    const [image] = config.images;
    if (image) image.source = { kind: 'git', url: `file://${repository}`, ref };
    const family = await readFamily(config, join(folder, 'state'), signal);
    expect(family).toMatchObject({ ok: false, failure: { kind: 'source' } });
  },
);
