// .gitlab-ci.yml: as a person would write it, accepted and run by gitlab-ci-local, and nothing lost on the way.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test, vi } from 'vitest';
import { parse, parseDocument } from 'yaml';
import { emitGitlab, type GitlabOptions } from './gitlab.ts';
import { gitlabNames } from './gitlab-names.ts';
import { bare, emitted, job, readGitlab, workflows } from './gitlab-testing.ts';
import type { Job, Pipeline } from './pipeline.ts';
import { machines, pipelines } from './pipeline-arbitrary.ts';
import { variableName } from './steps.ts';

const example: Pipeline = JSON.parse(readFileSync(new URL('testdata/github/pipeline.json', import.meta.url), 'utf8'));
const options: GitlabOptions = {
  header: ['Made by: splitbuild ci generate gitlab', 'Change splitbuild.yaml, not this file.'],
  image: 'docker:27-git',
  tags: { default: ['docker'], emulated: ['docker', 'large'], 'linux/arm64': ['docker', 'arm64.v8'] },
  jobs: { lint: { stage: 'test', needs: ['build-docs-manifest'], script: ['echo lint'] } },
  extraJobs: { develop: ['lint'] },
};
const text = emitted(example, options);

test('the file is what a person would write', async () => {
  await expect(text).toMatchFileSnapshot('testdata/gitlab/gitlab-ci.yml');
});

// Generated pipelines and programs that are started take their time on a busy machine.
vi.setConfig({ testTimeout: 60_000 });

const root = mkdtempSync(join(tmpdir(), 'splitbuild-gitlab-'));
afterAll(() => rmSync(root, { recursive: true }));

/** A repository with that file, in which gitlab-ci-local then runs; what it prints. */
function gitlabCiLocal(file: string, ...args: string[]): string {
  const folder = mkdtempSync(join(root, 'r-'));
  const git = (...words: string[]): void => {
    execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@example.org', ...words], {
      cwd: folder,
      stdio: 'ignore',
    });
  };
  git('init', '--initial-branch=develop');
  git('remote', 'add', 'origin', 'git@gitlab.com:acme/images.git');
  writeFileSync(join(folder, '.gitlab-ci.yml'), file);
  git('add', '--all');
  git('commit', '--message=x');
  // It asks for the remote's default branch, and for no network.
  git('update-ref', 'refs/remotes/origin/main', 'HEAD');
  git('symbolic-ref', 'refs/remotes/origin/HEAD', 'refs/remotes/origin/main');
  const program = join(
    dirname(createRequire(import.meta.url).resolve('gitlab-ci-local/package.json')),
    'dist/index.js',
  );
  const run = spawnSync(process.execPath, [program, '--no-color', ...args], {
    cwd: folder,
    encoding: 'utf8',
    env: { PATH: process.env.PATH, HOME: folder },
  });
  if (run.status !== 0) throw new Error(`${run.stdout}${run.stderr}`);
  return run.stdout;
}

describe('gitlab-ci-local', () => {
  test('lists the jobs of the branch, each with what it needs', () => {
    const list = gitlabCiLocal(text, '--list-csv')
      .split('\n')
      .filter((line) => line.includes(';'));
    expect(
      list.map((line) => line.split(';')).map(([name, stage, , , , needs]) => `${name} ${stage} ${needs}`),
    ).toEqual([
      'name stage needs',
      'build-base-amd64:develop build []',
      'build-base-arm64:develop build []',
      'build-base-manifest:develop build [build-base-amd64:develop,build-base-arm64:develop]',
      'build-dev-amd64:develop build [build-base-amd64:develop]',
      'build-dev-arm64:develop build [build-base-arm64:develop]',
      'build-dev-manifest:develop build [build-dev-amd64:develop,build-dev-arm64:develop]',
      'build-docs-amd64 build []',
      'build-docs-arm64 build []',
      'build-docs-manifest build [build-docs-amd64,build-docs-arm64]',
      'build-redis:develop build []',
      'lint test [build-docs-manifest]',
    ]);
  });

  test('puts together the same scripts and variables', () => {
    const preview = parse(gitlabCiLocal(text, '--preview'));
    const release = preview['build-dev-arm64:release'];
    expect(release.script.join('')).toContain(
      'PLATFORM="linux/arm64"\nARCH="-arm64"\nset -eu\ndocker build --build-arg',
    );
    expect(release.variables).toMatchObject({ ORG: 'acme', BUILD_TAG: '$CI_COMMIT_TAG', FINAL_TAG: 'latest' });
    expect(release.tags).toEqual(['docker', 'arm64.v8']);
    expect(release.services).toEqual([{ name: 'docker:27-dind', alias: 'docker' }]);
    expect(release.rules).toEqual([{ if: '$CI_COMMIT_TAG =~ /^v6\\..*$/' }]);
  });

  test('accepts any pipeline', () => {
    fc.assert(
      fc.property(pipelines, (pipeline) => {
        fc.pre(pipeline.workflows.some(({ jobs }) => jobs.length > 0));
        gitlabCiLocal(emitted(pipeline, { ...bare, tags: machines }), '--list-csv-all');
      }),
      { numRuns: 3, endOnFailure: true },
    );
  });

  const missing = ['bash', 'git', 'rsync'].filter((program) => spawnSync(program, ['--version']).error);
  test.skipIf(missing.length > 0)(
    `runs the jobs in order, each step by itself${missing.length > 0 ? ` (no ${missing.join()} here)` : ''}`,
    () => {
      const log = join(root, 'log');
      const say = (name: string, script: string, needs: string[]): Job =>
        job(name, {
          needs,
          params: { org: 'a$b $LOG', from: '${branch}', registry: 'localhost:5000/x:y' },
          steps: [
            { kind: 'script', name: 'one', script: `${script}; cd /; own=1` },
            {
              kind: 'script',
              name: 'two',
              script: `echo "${name} $ORG $FROM $REGISTRY \${own:-} \${RUN_ID:+run}" >> "$LOG"`,
            },
          ],
        });
      const pipeline = workflows({
        develop: [
          say('image', 'sleep 0.2', []),
          say('b b', 'sleep 0.2', ['image']),
          say('c.d:e', ':', ['image', 'b b']),
        ],
        release: [say('image', 'exit 1', [])],
      });
      // Its shell executor has no use for images; services would take a Docker Engine.
      const document = parseDocument(emitted(pipeline));
      document.deleteIn(['.docker', 'image']);
      document.deleteIn(['.docker', 'services']);
      gitlabCiLocal(document.toString(), '--force-shell-executor', '--variable', `LOG=${log}`);
      const line = 'a$b $LOG develop localhost:5000/x:y  run';
      expect(readFileSync(log, 'utf8').split('\n')).toEqual([`image ${line}`, `b b ${line}`, `c.d:e ${line}`, '']);
    },
  );
});

test('any pipeline keeps its jobs, what they need, their parameters and scripts', () => {
  const known = (value: string): string =>
    value.replaceAll('${gitTag}', 'TAG').replaceAll('${branch}', 'BRANCH').replaceAll('${commit}', 'SHA');
  fc.assert(
    fc.property(pipelines, (pipeline) => {
      const read = readGitlab(emitted(pipeline, { ...bare, tags: machines }));
      const names = gitlabNames(pipeline, new Map(), [], new Map());
      const all = pipeline.workflows.flatMap(({ name, jobs }) => jobs.map((one) => names.of(name, one.name)));
      expect([...read.keys()].sort()).toEqual(all.sort());
      expect(new Set(all).size).toBe(all.length);
      for (const workflow of pipeline.workflows) {
        for (const { name, needs, params, steps } of workflow.jobs) {
          const found = read.get(names.of(workflow.name, name));
          expect(found?.needs).toEqual(needs.map((need) => names.of(workflow.name, need)));
          expect(found?.params).toMatchObject(
            Object.fromEntries(Object.entries(params).map(([param, value]) => [variableName(param), known(value)])),
          );
          expect(found?.params.RUN_ID).toMatch(/^42(-[A-Za-z0-9_.-]+)?$/);
          expect(
            found?.scripts.map((script) => script.replace(/^set -eu\n(?! {2}cat)/, '').replace(/\n$/, '')),
          ).toEqual(steps.flatMap((step) => (step.kind === 'script' ? [step.script] : [])));
        }
      }
    }),
    { numRuns: 100 },
  );
});

test('a job of two workflows is written once, with what differs in each', () => {
  const shared = (tag: string): Job => job('a', { params: { org: 'acme', tag }, needs: ['b'] });
  const file = parse(emitted(workflows({ main: [job('b'), shared('x')], next: [job('b'), shared('y')] })));
  expect(file['.a']).toMatchObject({ variables: { GIT_STRATEGY: 'none', ORG: 'acme' }, script: expect.anything() });
  expect(file['a:main']).toEqual({ extends: ['.a', '.on-main'], needs: ['b:main'], variables: { TAG: 'x' } });
  expect(file['a:next']).toEqual({ extends: ['.a', '.on-next'], needs: ['b:next'], variables: { TAG: 'y' } });
});

test('one name for two different jobs is no shared job', () => {
  const other = job('a', { steps: [{ kind: 'script', name: 'other', script: 'echo other' }] });
  const read = readGitlab(emitted(workflows({ main: [job('a')], next: [other] })));
  expect([...read].map(([name, { scripts }]) => [name, scripts])).toEqual([
    ['a:main', ['set -eu\necho a\n']],
    ['a:next', ['set -eu\necho other\n']],
  ]);
});

test("the user's own jobs run by the rules of their workflows, and find the jobs that they need", () => {
  const jobs = {
    '.mine': { image: 'alpine' },
    check: { extends: '.mine', stage: 'check', needs: [{ job: 'a', artifacts: true }], script: ['true'] },
    own: { script: ['true'], rules: [{ when: 'manual' }] },
    unused: { script: ['false'] },
  };
  const given = { ...bare, jobs, extraJobs: { main: ['check', 'own'], next: ['check'] } };
  const file = parse(emitted(workflows({ main: [job('a')], next: [job('a')] }), given));
  expect(file['check:main']).toEqual({
    ...jobs.check,
    needs: [{ job: 'a:main', artifacts: true }],
    rules: [{ if: '$CI_COMMIT_BRANCH == "main" && $CI_PIPELINE_SOURCE != "schedule"' }],
  });
  expect(file['check:next'].needs).toEqual([{ job: 'a:next', artifacts: true }]);
  expect(file.own).toEqual(jobs.own);
  expect(file['.mine']).toEqual(jobs['.mine']);
  expect(file.stages).toEqual(['check', 'build', 'test', 'deploy']);
  expect(file).not.toHaveProperty('unused');
});

test('only who asks for kept files gets them', () => {
  const save = job('save', { kind: 'save', steps: [...job('save').steps, { kind: 'persist', folder: 'images' }] });
  const deploy = job('deploy', {
    kind: 'deploy',
    needs: ['save'],
    steps: [{ kind: 'attach', folder: 'images' }, ...save.steps.slice(0, 1)],
  });
  const file = parse(emitted(workflows({ main: [save, deploy, job('after', { needs: ['save'] })] })));
  expect(file.save.artifacts).toEqual({ paths: ['images/'], expire_in: '1 week' });
  expect(file.deploy.needs).toEqual(['save']);
  expect(file.after.needs).toEqual([{ job: 'save', artifacts: false }]);
});

test.each([
  ['docker:27-git', 'docker:27-dind'],
  ['docker:24.0.9-git', 'docker:24.0.9-dind'],
  ['localhost:5000/library/docker:27.3-cli', 'localhost:5000/library/docker:27.3-dind'],
  ['localhost:5000/ci:1', 'docker:dind'],
])('beside %s runs %s', (image, daemon) => {
  const file = parse(emitted(workflows({ main: [job('a')] }), { ...bare, image }));
  expect(file['.docker']).toMatchObject({ image, services: [{ name: daemon, alias: 'docker' }] });
});

test('a job never runs on a machine of another platform', () => {
  const build = job('a', { kind: 'build', platform: { os: 'linux', architecture: 's390x' } });
  expect(emitGitlab(workflows({ main: [build] }), { ...bare, tags: { default: ['docker'] } })).toMatchObject({
    ok: false,
    failure: { kind: 'placement', message: 'no machine is known for linux/s390x' },
  });
});
