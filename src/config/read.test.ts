// The config reader on sound files: the example of HySDS, workflows, variables and defaults. Broken files are in
// bad-configs.test.ts, any others in read.fuzz.test.ts.
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { formatPlatform } from '../image/platform.ts';
import type { Config } from './config.ts';
import { type ReadOptions, readConfig } from './read.ts';
import { expandTemplate } from './template.ts';

const options: ReadOptions = { file: '/work/splitbuild.yaml', env: {}, set: {}, now: new Date('2026-03-04T23:00:00Z') };
const example = readFileSync(new URL('./testdata/hysds.yaml', import.meta.url), 'utf8');
const head = 'version: 1\nfamily: f\nplatforms: [linux/amd64, linux/arm64/v8]\n';

function read(text: string, more: Partial<ReadOptions> = {}): Config {
  const result = readConfig(text, { ...options, ...more });
  if (!result.ok) throw new Error(JSON.stringify(result.failure, undefined, 1));
  return result.value;
}

test('the example of HySDS is read as it is meant', () => {
  const config = read(example);
  expect(config.family).toBe('hysds');
  expect(config.platforms.map(formatPlatform)).toEqual(['linux/amd64', 'linux/arm64']);
  expect(config.images.map(({ name }) => name)).toEqual([
    'base',
    'dev',
    'pge-base',
    'verdi',
    'rabbitmq',
    'elasticsearch',
  ]);
  expect(config.images[1]).toEqual({
    name: 'dev',
    repository: 'hysds/dev',
    source: { kind: 'git', url: 'https://github.com/hysds/puppet-hysds_dev.git', ref: 'develop' },
    dockerfile: 'docker/Dockerfile',
    context: '.',
    args: { ORG: 'hysds', BRANCH: 'develop', TAG: '${tag}' },
    needs: ['base'],
    platforms: config.platforms,
    secrets: [],
    test: [],
    audit: { mode: 'stop', allow: [] },
    mode: 'native',
    job: 'dev',
    vars: { org: 'hysds', branch: 'develop' },
    written: {
      repository: '${org}/dev',
      source: 'https://github.com/${org}/puppet-hysds_dev.git#${branch}',
      args: { ORG: '${org}', BRANCH: '${branch}', TAG: '${tag}' },
    },
  });
  expect(config.images.map(({ mode }) => mode).filter((mode) => mode === 'emulated')).toHaveLength(1);
  expect(config.images[5]?.mirror).toBe('docker.io/elasticsearch:7.9.3');
  expect(config.groups.verdi_pge_base?.script).toBe(
    './build_docker.sh ${archTag} hysds docker develop ${tag} ${archTag} develop',
  );
  const file = 'hysds-verdi-${tag}${archSuffix}.tar.gz';
  expect(config.exports).toEqual([{ image: 'verdi', file, plain: 'linux/amd64', vars: {}, written: { file } }]);
  expect(config.assets.support?.deploy).toEqual({ 'github-release': 'hysds/hysds-dockerfiles' });
  expect(config.tags).toEqual(['latest']);
  expect(config.builders.map(({ name, slots }) => [name, slots])).toEqual([
    ['here', undefined],
    ['graviton', 4],
  ]);
  expect(config.registry).toEqual({ kind: 'embedded' });
  expect(config.ci).toEqual({
    circleci: {
      image: 'docker:24.0.9-git',
      resourceClass: { 'linux/amd64': 'medium', 'linux/arm64': 'arm.medium' },
      contexts: ['docker-hub-creds', 'git-oauth-token'],
    },
  });
  expect(config.warnings.map(({ message }) => message)).toEqual(
    ['mozart', 'metrics', 'grq', 'cont_int'].map((name) => `no image '${name}' in this config to disable`),
  );
});

test('--set wins over the variables of the file', () => {
  const config = read(example, { set: { org: 'acme' } });
  expect(config.images[0]?.repository).toBe('acme/base');
});

test('no workflow is chosen by itself; a chosen one gives the tags', () => {
  expect(read(example).tags).toEqual(['latest']);
  expect(read(example, { workflow: 'develop' }).tags).toEqual(['develop']);
  expect(read(example, { workflow: 'release', git: { tag: 'v6.1' } }).tags).toEqual(['v6.1', 'latest']);
});

test('tags of workflows keep the names of git, for a CI job to come', () => {
  const config = read(example, { workflow: 'release', git: { tag: 'v6.1' } });
  expect(config.workflows.release?.tags).toEqual(['${gitTag}', 'latest']);
});

test('what the chosen workflow disables is left out everywhere, and unset variables in it are no matter', () => {
  const text = `${head}images:
  a: { repository: o/a }
  b: { repository: o/b, needs: [a], target: "\${gitTag}", source: "\${env:NOPE}" }
  c: { repository: o/c, needs: [b, a] }
groups: { one: { images: [a, b], script: x }, two: { images: [b], script: "\${commit}" } }
exports: [{ image: a, file: "a\${arch}" }, { image: b, file: "\${gitTag}\${arch}" }, { image: c, file: "c\${arch}" }]
workflows: { w: { disable: [b], exports: [c, b] } }
`;
  const config = read(text, { workflow: 'w' });
  expect(config.images.map(({ name, needs }) => [name, needs])).toEqual([
    ['a', []],
    ['c', ['a']],
  ]);
  expect(Object.keys(config.groups)).toEqual(['one']);
  expect(config.groups.one).toMatchObject({ images: ['a'], script: 'x' });
  expect(config.exports.map(({ image }) => image)).toEqual(['c']);
});

test('two images of which the workflow leaves one out may share a repository', () => {
  const text = `${head}images: { a: { repository: o/a }, b: { repository: o/a } }\nworkflows: { w: { disable: [a] } }\n`;
  expect(read(text, { workflow: 'w' }).images.map(({ name }) => name)).toEqual(['b']);
});

test('dockerfile and context are both paths from the source', () => {
  const text = `${head}defaults: { context: ctx }\nimages:
  a: { repository: o/a }
  b: { repository: o/b, context: ./x/, dockerfile: docker/../D }
  c: { repository: o/c, source: ./y/../c, context: . }
`;
  expect(read(text).images.map(({ context, dockerfile }) => [context, dockerfile])).toEqual([
    ['ctx', 'ctx/Dockerfile'],
    ['x/', 'D'],
    ['.', 'Dockerfile'],
  ]);
  expect(read(text).images[2]?.source).toEqual({ kind: 'folder', path: '/work/c' });
});

test.each([
  ['https://github.com/a/b.git', { kind: 'git', url: 'https://github.com/a/b.git', ref: 'HEAD' }],
  ['git@github.com:a/b.git#v1:sub/dir', { kind: 'git', url: 'git@github.com:a/b.git', ref: 'v1', subdir: 'sub/dir' }],
  ['ssh://git@h/a#:x', { kind: 'git', url: 'ssh://git@h/a', ref: 'HEAD', subdir: 'x' }],
  ['./x', { kind: 'folder', path: '/work/x' }],
])('the source %s', (written, source) => {
  expect(read(`${head}images: { a: { repository: o/a, source: "${written}" } }`).images[0]?.source).toEqual(source);
});

test.each([
  ['docker.io/org', { kind: 'remote', host: 'docker.io', prefix: 'org' }],
  ['localhost:5000', { kind: 'remote', host: 'localhost:5000' }],
  ['"[::1]:5000/a/b"', { kind: 'remote', host: '[::1]:5000', prefix: 'a/b' }],
  ['{ listen: "0.0.0.0:5000" }', { kind: 'embedded', listen: '0.0.0.0:5000' }],
])('the registry %s', (written, registry) => {
  const config = read(
    `${head}images: { a: { repository: o/a } }\nregistry: ${written}\nregistries: { "r:1": { ca: x } }\n`,
  );
  expect(config.registry).toEqual(registry);
  expect(config.registries).toEqual({ 'r:1': { ca: 'x' } });
});

test.each([
  'local',
  'unix:///run/docker.sock',
  'ssh://ci@arm-1',
  'ssh://arm:2222/run/d.sock',
  'tcp://10.0.0.1:2376',
  'tcp://[::1]:2376',
  'context://arm',
])('the endpoint %s', (endpoint) => {
  const text = `${head}images: { a: { repository: o/a } }\nbuilders: [{ name: x, endpoint: "${endpoint}" }]\n`;
  expect(read(text).builders).toEqual([{ name: 'x', endpoint, engine: 'docker' }]);
});

test('numbers in variables and build arguments are taken as they are written', () => {
  const text = `${head}vars: { v: 3.10, on: True }\nimages: { a: { repository: "o/a\${v}", args: { A: 1.20, B: "\${on}", C: 0x1F } } }\n`;
  expect(read(text).images[0]).toMatchObject({ repository: 'o/a3.10', args: { A: '1.20', B: 'True', C: '0x1F' } });
});

test('an escaped variable is a literal in every field, also by way of a variable', () => {
  const text = `${head}vars: { v: "$\${tag}" }\nimages:\n  a: { repository: o/a, target: "$\${v}", args: { A: "$\${tag} \${v} \${tag}", B: "$$" } }\n`;
  const [image] = read(text).images;
  expect(image?.target).toBe('${v}');
  const values = { tag: 'T', arch: '', archSuffix: '', archTag: '', platform: '' };
  expect(expandTemplate(image?.args.A ?? '', values)).toBe('${tag} ${tag} T');
  expect(expandTemplate(image?.args.B ?? '', values)).toBe('$');
});

test('what comes from outside is never taken for a variable', () => {
  const text = `${head}images: { a: { repository: o/a, target: "\${env:X}", args: { A: "\${env:X} \${branch}" } } }\n`;
  const [image] = read(text, { env: { X: '${tag}$$' }, git: { branch: '${arch}' } }).images;
  expect(image?.target).toBe('${tag}$$');
  expect(expandTemplate(image?.args.A ?? '', { tag: 'T', arch: 'A' })).toBe('${tag}$$ ${arch}');
});

test('the date is that of the run, and git gives branch, tag and commit', () => {
  const text = `${head}tags: ["\${date}", "\${gitTag}", "\${branch}-\${commit}"]\nimages: { a: { repository: o/a } }\n`;
  const git = { tag: 'v1', branch: 'main', commit: 'c0ffee' };
  expect(read(text, { git }).tags).toEqual(['2026-03-04', 'v1', 'main-c0ffee']);
});

test("an image's own tags may use the first tag of the run", () => {
  const text = `${head}tags: [v1, latest]\nimages: { a: { repository: o/a, tags: ["\${tag}-cuda"] }, b: { repository: o/b } }\n`;
  expect(read(text).images.map(({ tags }) => tags)).toEqual([['v1-cuda'], undefined]);
});

test('tags of the file are no matter where the chosen workflow has its own', () => {
  const text = `${head}tags: ["\${gitTag}"]\nimages: { a: { repository: o/a } }\nworkflows: { w: { tags: [x] } }\n`;
  expect(read(text, { workflow: 'w' }).tags).toEqual(['x']);
});

test('platforms, secrets, arguments and mode come from the image, else from the defaults, else from the top', () => {
  const text = `${head}mode: emulated\ndefaults: { platforms: [amd64], secrets: [s], args: { A: a, B: b }, mode: native }
images: { a: { repository: o/a }, b: { repository: o/b, platforms: [arm64], secrets: [], args: { B: c }, mode: emulated } }\n`;
  const [a, b] = read(text).images;
  expect(a).toMatchObject({ secrets: ['s'], args: { A: 'a', B: 'b' }, mode: 'native' });
  expect(b).toMatchObject({ secrets: [], args: { A: 'a', B: 'c' }, mode: 'emulated' });
  expect([a, b].map((image) => image?.platforms.map(formatPlatform))).toEqual([['linux/amd64'], ['linux/arm64']]);
});

test('the CI section is left as it is written', () => {
  const text = `${head}images: { a: { repository: o/a } }\nci: { gitlab: { jobs: { x: { script: "$\${y} \${z}", n: 1.5 } } } }\n`;
  expect(read(text).ci).toEqual({ gitlab: { jobs: { x: { script: '$${y} ${z}', n: 1.5 } } } });
});

test('anchors and merge keys work', () => {
  const text = `${head}images:\n  a: &a { repository: o/a, secrets: &s [x] }\n  b: { <<: *a, repository: o/b }\n  c: { repository: o/c, secrets: *s }\n`;
  expect(read(text).images.map(({ repository, secrets }) => [repository, secrets])).toEqual([
    ['o/a', ['x']],
    ['o/b', ['x']],
    ['o/c', ['x']],
  ]);
});

test.each(['"${env:X}"', '{ a: "${env:X}" }', '{ a: { tags: "${env:X}" } }'])(
  'a workflow of the wrong shape is told even if its variable need not be known: %s',
  (workflows) => {
    const text = `version: 1\nfamily: f\nplatforms: [linux/amd64]\nimages: { a: { repository: o/a } }\nworkflows: ${workflows}\n`;
    expect(readConfig(text, { file: 'splitbuild.yaml', env: {}, set: {} })).toMatchObject({
      ok: false,
      failure: { diagnostics: [{ severity: 'error', location: { line: 5 } }] },
    });
  },
);

const later = { git: 'later' } as const;

test('variables win in the order: --set, image or group, chosen workflow, file', () => {
  const text = `${head}vars: { v: file, w: "\${v}!" }
images:
  a: { repository: o/a, vars: { v: own }, args: { A: "\${v} \${w}" } }
  b: { repository: o/b, args: { A: "\${v} \${w}" } }
groups: { g: { images: [a], vars: { v: group }, script: "\${w}" } }
exports: [{ image: a, file: "\${v}\${arch}" }]
workflows: { x: { vars: { v: flow }, tags: ["\${v}"] }, y: {} }
`;
  const seen = ({ images, groups, exports, tags }: Config): unknown => [
    ...images.map(({ args }) => args.A),
    groups.g?.script,
    exports[0]?.file,
    tags[0],
  ];
  expect(seen(read(text))).toEqual(['own own!', 'file file!', 'group!', 'file${arch}', 'latest']);
  expect(seen(read(text, { workflow: 'x' }))).toEqual(['own own!', 'flow flow!', 'group!', 'flow${arch}', 'flow']);
  expect(seen(read(text, { workflow: 'y' }))).toEqual(['own own!', 'file file!', 'group!', 'file${arch}', 'latest']);
  expect(seen(read(text, { workflow: 'x', set: { v: 'set' } }))).toEqual([
    'set set!',
    'set set!',
    'set!',
    'set${arch}',
    'set',
  ]);
});

test('each image has the defaults with its own variables', () => {
  const text = `${head}vars: { branch: main }\ndefaults: { args: { B: "\${branch}", C: 1.10 }, context: "\${branch}" }
images:
  a: { repository: o/a }
  b: { repository: o/b, vars: { branch: dev }, args: { C: 2 } }
`;
  expect(read(text).images.map(({ args, context, vars }) => [args, context, vars])).toEqual([
    [{ B: 'main', C: '1.10' }, 'main', { branch: 'main' }],
    [{ B: 'dev', C: '2' }, 'dev', { branch: 'dev' }],
  ]);
});

test('--set of a variable that only an image has is no mistake', () => {
  const text = `${head}images: { a: { repository: o/a, vars: { v: x }, args: { A: "\${v}" } } }\n`;
  expect(read(text, { set: { v: 'y' } })).toMatchObject({ warnings: [], images: [{ args: { A: 'y' } }] });
});

test('texts are given as written, with the variables that stand in them in the order of their appearance', () => {
  const text = `${head}vars: { z: "\${org}-z", org: acme, unused: x }
images:
  a:
    repository: "\${org}/a"
    source: "https://h/\${org}/\${z}.git#\${date}"
    args: { T: "\${tag}-\${x}$$\${x}", E: "\${env:E}" }
    vars: { x: "1.\${z}" }
`;
  const [image] = read(text, { env: { E: 'e${x}' } }).images;
  expect(Object.entries(image?.vars ?? {})).toEqual([
    ['org', 'acme'],
    ['z', 'acme-z'],
    ['x', '1.acme-z'],
  ]);
  expect(image?.written).toEqual({
    repository: '${org}/a',
    source: 'https://h/${org}/${z}.git#2026-03-04',
    args: { T: '${tag}-${x}$$${x}', E: 'e$${x}' },
  });
  expect(image?.args.T).toBe('${tag}-1.acme-z$$1.acme-z');
});

test('a variable whose value differs by what is built has its text in its place', () => {
  const text = `${head}vars: { org: acme, base: "\${org}/base:\${archTag}", b: "[\${base}]" }
images: { a: { repository: "\${org}/a-\${tag}", args: { BASE: "\${b}" } } }
`;
  const [image] = read(text).images;
  expect(image).toMatchObject({ repository: 'acme/a-latest', args: { BASE: '[acme/base:${archTag}]' } });
  expect(image?.vars).toEqual({ org: 'acme' });
  expect(image?.written).toEqual({ repository: '${org}/a-${tag}', args: { BASE: '[${org}/base:${archTag}]' } });
});

test('a group and an export are given as written too', () => {
  const text = `${head}vars: { org: acme }
images: { a: { repository: o/a } }
groups: { two words: { images: [a], source: "https://h/\${org}.git#\${p}", script: "x \${org} \${archTag}", vars: { p: docker } } }
exports: [{ image: a, file: "\${org}\${arch}", deploy: { github-release: "\${org}/r" } }]
`;
  const config = read(text);
  expect(config.groups['two words']).toEqual({
    name: 'two words',
    job: 'two-words',
    images: ['a'],
    source: { kind: 'git', url: 'https://h/acme.git', ref: 'docker' },
    script: 'x acme ${archTag}',
    vars: { org: 'acme', p: 'docker' },
    written: { source: 'https://h/${org}.git#${p}', script: 'x ${org} ${archTag}' },
  });
  expect(config.exports).toEqual([
    {
      image: 'a',
      file: 'acme${arch}',
      deploy: { 'github-release': 'acme/r' },
      vars: { org: 'acme' },
      written: { file: '${org}${arch}' },
    },
  ]);
});

test('names of git stay where only the CI run will know them', () => {
  const text = `${head}vars: { rev: "\${commit}" }
images:
  a: { repository: "o/a-\${branch}", source: "https://h/a.git#\${gitTag}", args: { A: "\${rev} $\${branch}" }, tags: ["\${tag}-x"] }
workflows: { release: { tags: ["\${release}", latest], vars: { release: "\${gitTag}" } } }
registry: "docker.io/\${branch}"
`;
  const config = read(text, { ...later, workflow: 'release' });
  expect(config.tags).toEqual(['${gitTag}', 'latest']);
  expect(config.workflows.release).toMatchObject({ tags: ['${gitTag}', 'latest'], vars: { release: '${gitTag}' } });
  expect(config.images[0]).toMatchObject({
    repository: 'o/a-${branch}',
    source: { kind: 'git', url: 'https://h/a.git', ref: '${gitTag}' },
    args: { A: '${commit} $${branch}' },
    tags: ['${gitTag}-x'],
    vars: { rev: '${commit}' },
    written: { repository: 'o/a-${branch}', source: 'https://h/a.git#${gitTag}', args: { A: '${rev} $${branch}' } },
  });
  expect(config.registry).toEqual({ kind: 'remote', host: 'docker.io', prefix: '${branch}' });
});

test('a variable may have the name of one of git, and then it is the one that is meant', () => {
  const text = `${head}vars: { branch: develop }\nimages: { a: { repository: "o/a-\${branch}" } }\n`;
  expect(read(text, later).images[0]).toMatchObject({ repository: 'o/a-develop', vars: { branch: 'develop' } });
});

test('a workflow with other jobs and no tags of its own builds no image', () => {
  const text = `${head}tags: ["\${gitTag}"]
images: { a: { repository: o/a, target: "\${commit}" } }
groups: { g: { images: [a], script: "\${commit}" } }
exports: [{ image: a, file: "\${commit}\${arch}" }]
assets: { s: { images: ["r:1"] } }
ci: { github: { jobs: { test: { steps: [] } } } }
workflows:
  nightly: { jobs: [test], on: { schedule: "0 4 * * *", branch: main } }
  both: { jobs: [test], tags: [x], assets: [s], disable: [], exports: [a] }
  none: {}
`;
  const config = read(text, { workflow: 'nightly' });
  expect(config).toMatchObject({ images: [], groups: {}, exports: [], warnings: [] });
  expect(config.workflows).toEqual({
    nightly: {
      on: { schedule: '0 4 * * *', branch: 'main' },
      vars: {},
      jobs: ['test'],
      assets: [],
      builds: false,
    },
    both: { vars: {}, tags: ['x'], disable: [], exports: ['a'], jobs: ['test'], assets: ['s'], builds: true },
    none: { vars: {}, jobs: [], assets: [], builds: true },
  });
  expect(read(text, { ...later, workflow: 'both' }).images).toHaveLength(1);
});

test('an asset says under which names and for which platforms each image is saved', () => {
  const text = `${head}images: { a: { repository: o/a } }
assets:
  s:
    images:
      - quay.io:443/org/registry:2
      - redis@sha256:${'a'.repeat(64)}
      - { image: "x/logstash:7", as: "h/logstash:7.1", platforms: [amd64] }
      - { image: "y/z:1", file: zed }
    plain: amd64
    deploy: { github-release: o/r }
`;
  const { images = [], ...rest } = read(text).assets.s ?? {};
  expect(rest).toEqual({ plain: 'linux/amd64', deploy: { 'github-release': 'o/r' } });
  expect(images.map(({ as, file, platforms }) => [as, file, ...platforms.map(formatPlatform)])).toEqual([
    ['registry:2', 'registry-2', 'linux/amd64', 'linux/arm64'],
    ['redis:latest', 'redis-latest', 'linux/amd64', 'linux/arm64'],
    ['h/logstash:7.1', 'h-logstash-7.1', 'linux/amd64'],
    ['z:1', 'zed', 'linux/amd64', 'linux/arm64'],
  ]);
});

test('settings of CI providers have platforms as splitbuild writes them', () => {
  const text = `${head}images: { a: { repository: o/a, job: build_a }, a.b: { repository: o/ab } }
ci:
  circleci: { image: "i:1", deployImage: "d:1", contexts: [c], resourceClass: { default: medium, emulated: large, aarch64: arm } }
  github: { runners: { default: ubuntu, linux/arm64/v8: [self-hosted, arm] } }
  gitlab: { image: "g:1", tags: { arm: [a] } }
`;
  const config = read(text);
  expect(config.images.map(({ job }) => job)).toEqual(['build_a', 'a-b']);
  expect(config.ci).toEqual({
    circleci: {
      image: 'i:1',
      deployImage: 'd:1',
      contexts: ['c'],
      resourceClass: { default: 'medium', emulated: 'large', 'linux/arm64': 'arm' },
    },
    github: { runners: { default: 'ubuntu', 'linux/arm64': ['self-hosted', 'arm'] } },
    gitlab: { image: 'g:1', tags: { 'linux/arm/v7': ['a'] } },
  });
});

test('ten thousand images are not too much for one file', () => {
  const names = Array.from(
    { length: 10_000 },
    (_, place) => `  i${place}: { repository: "o/i${place}", source: ./i${place} }`,
  );
  const text = `version: 1\nfamily: many\nplatforms: [linux/amd64, linux/arm64]\nimages:\n${names.join('\n')}\n`;
  const config = readConfig(text, { file: 'splitbuild.yaml', env: {}, set: {} });
  expect(config.ok && config.value.images.length).toBe(10_000);
}, 30_000);
