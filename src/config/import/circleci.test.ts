// Pipelines in the manner of hand-written ones, with the configs that a person makes of them beside (testdata/*.splitbuild.yaml).
import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { readConfig } from '../read.ts';
import { draftFromCircleci } from './circleci.ts';
import { toGlobs } from './circleci-workflows.ts';
import { notesOf } from './draft.ts';
import { trialEnvironment, writeDraft } from './write.ts';

const read = (name: string): Promise<string> => readFile(new URL(`testdata/${name}`, import.meta.url), 'utf8');

function imported(text: string, project?: string): string {
  const draft = draftFromCircleci(text, { file: 'config.yml', ...(project ? { project } : {}) });
  if (!draft.ok) throw new Error(JSON.stringify(draft.failure));
  return writeDraft(draft.value);
}

/** A pipeline of one job with one command, started by a push to main. */
const one = (command: string, more = ''): string => `version: 2.1
jobs:
  build:
    docker: [{ image: docker:28 }]${more}
    steps:
      - run: |
${command.replace(/^/gm, '          ')}
workflows: { w: { jobs: [{ build: { filters: { branches: { only: main } } } }] } }
`;

test.each(['split', 'single', 'matrix'])(
  '%s.yml is read as %s.splitbuild.yaml, which is a sound config for every workflow',
  async (name) => {
    const draft = draftFromCircleci(await read(`${name}.yml`), { file: `${name}.yml`, project: 'acme/images' });
    if (!draft.ok) throw new Error(JSON.stringify(draft.failure));
    const text = writeDraft(draft.value);
    expect(text).toBe(await read(`${name}.splitbuild.yaml`));
    for (const workflow of [undefined, ...draft.value.workflows.map((one) => one.name)]) {
      const config = readConfig(text, {
        file: 'splitbuild.yaml',
        env: trialEnvironment(text),
        set: {},
        git: { branch: 'main', tag: 'v1', commit: 'c0ffee' },
        ...(workflow === undefined ? {} : { workflow }),
      });
      expect(config).toMatchObject({ ok: true, value: { warnings: [] } });
    }
  },
);

test.each([
  ['docker build -t o/a . && docker push o/a', 'a: { repository: o/a }'],
  ['docker build -t o/a:1 -f x/Dockerfile x\ndocker push o/a:1', 'a: { repository: o/a, context: x }'],
  ['docker build -t o/a:1 --target run .\ndocker push o/a:1', 'a: { repository: o/a, target: run }'],
  ['docker buildx build --platform linux/arm64 --push -t o/a:1 .', 'mode: emulated'],
  ['docker buildx build -o type=image,name=o/a:1,push=true .', 'a: { repository: o/a }'],
  ['docker build -t o/a:1 --secret id=npm,src=x .; docker push o/a:1', 'secrets: [npm]'],
  ['docker pull redis:7; docker tag redis:7 o/r:1; docker push o/r:1', 'mirror: redis:7'],
  ['skopeo copy --all docker://redis:7 docker://o/r:1', 'mirror: redis:7'],
  [
    'git clone -b v2 https://x.example/a.git s; cd s/sub; docker build -t o/a:1 .; docker push o/a:1',
    'source: https://x.example/a.git#v2, context: sub',
  ],
  ['make image; docker push o/a:1', 'script: make image'],
  ['./build.sh "a b" $CIRCLE_SHA1; docker push o/a:1; docker push o/b:1', 'script: "./build.sh \'a b\' ${commit}"'],
  ['docker build -t quay.io/o/a:1 .; docker push quay.io/o/a:1', 'registry: quay.io'],
])('%s', (command, expected) => {
  const text = imported(one(command)).replace(/,\n +| *\n +/g, ', ');
  expect(text).toContain(expected);
});

test('what is not understood is kept with its line', () => {
  const draft = draftFromCircleci(one('cp a b\ndocker build -t o/a:1 .\ndocker push o/a:1'), { file: 'c.yml' });
  expect(draft.ok && notesOf(draft.value)).toEqual([{ line: 7, text: 'cp a b' }]);
});

test.each([
  ['~/app', 'docker build -t o/a:1 x', 'context: x'],
  ['/src', 'cd x && docker build -t o/a:1 .', 'context: x'],
  ['~/project/x', 'docker build -t o/a:1 .', '{ repository: o/a }'],
])('a job in %s', (folder, command, expected) => {
  expect(imported(one(`${command}\ndocker push o/a:1`, `\n    working_directory: ${folder}`))).toContain(expected);
});

test('what is built in one job and handed to another by a file is no export', () => {
  const text = imported(`jobs:
  a: { docker: [{ image: x }], steps: [{ run: 'docker build -t o/a:1 --build-arg B=1 x; docker save o/a:1 > a.tar' }] }
  b: { docker: [{ image: x }], steps: [{ run: 'docker load -i a.tar; docker push o/a:1' }] }
workflows: { w: { jobs: [a, { b: { requires: [a] } }] } }
`);
  expect(text).toContain('a: { repository: o/a, context: x, args: { B: "1" } }');
  expect(text).not.toContain('exports');
});

test('an image that another machine builds natively is not emulated', () => {
  const text = imported(
    one('docker build --platform linux/arm64 -t o/a:1 .\ndocker push o/a:1', '\n    resource_class: arm.medium'),
  );
  expect(text).not.toContain('emulated');
  expect(text).toContain('resourceClass: { linux/arm64: arm.medium }');
});

test('a pipeline that pushes no image is refused at its jobs', () => {
  const draft = draftFromCircleci(one('npm test'), { file: 'c.yml' });
  expect(draft).toMatchObject({
    failure: { diagnostics: [{ code: 'no-images', location: { file: 'c.yml', line: 2, column: 1 } }] },
  });
});

test('what is no CircleCI pipeline is told where it is wrong', () => {
  expect(draftFromCircleci('jobs: { a: { steps: 1 } }\n', { file: 'c.yml' })).toMatchObject({
    failure: { diagnostics: [{ code: 'circleci', location: { line: 1, column: 21 } }] },
  });
  expect(draftFromCircleci('a: [', { file: 'c.yml' })).toMatchObject({ failure: { diagnostics: [{ code: 'yaml' }] } });
});

test.each([
  ['main', ['main']],
  ['/^v6.*/', ['v6*']],
  ['/v\\d+\\.\\d+\\.\\d+/', ['v*.*.*']],
  ['/develop|master|release-.*/', ['develop', 'master', 'release-*']],
  ['/(main|next)/', ['main', 'next']],
  ['/^[0-9]+(-rc[0-9]+)?$/', ['*']],
  ['/.*/', ['*']],
])('%s as patterns', (written, expected) => {
  expect(toGlobs(written)).toEqual(expected);
});
