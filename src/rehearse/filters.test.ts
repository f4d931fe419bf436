// Expected values from https://circleci.com/docs/configuration-reference/#jobfilters and
// https://circleci.com/docs/workflows/#executing-workflows-for-a-git-tag.
import { expect, test } from 'vitest';
import { passes, selectJobs } from './filters.ts';
import type { RehearsalJob } from './pipeline.ts';
import type { Filters } from './schema.ts';

const branch = (name: string) => ({ kind: 'branch', name }) as const;
const tag = (name: string) => ({ kind: 'tag', name }) as const;

test.each<[string, Filters | undefined, ReturnType<typeof branch> | ReturnType<typeof tag>, boolean]>([
  ['without filters a job runs for every branch', undefined, branch('x'), true],
  ['without filters a job runs for no tag', undefined, tag('v1'), false],
  ['branch filters say nothing of tags', { branches: { only: 'main' } }, tag('v1'), false],
  ['tag filters leave the branches as they are', { tags: { only: '/^v.*/' } }, branch('x'), true],
  ['a tag that matches', { tags: { only: '/^v.*/' } }, tag('v1.2'), true],
  ['a tag that does not', { tags: { only: '/^v.*/' } }, tag('1.2'), false],
  [
    'tags alone: ignore: /.*/ of branches',
    { tags: { only: '/^v.*/' }, branches: { ignore: '/.*/' } },
    branch('main'),
    false,
  ],
  ['a pattern matches the whole name', { branches: { only: '/server\\/.*/' } }, branch('my-server/x'), false],
  ['and what it matches runs', { branches: { only: '/server\\/.*/' } }, branch('server/x'), true],
  ['a name is no pattern', { branches: { only: 'user-.*' } }, branch('user-1'), false],
  ['one of a list', { branches: { only: ['dev', '/user-.*/'] } }, branch('user-1'), true],
  ['pre-prod with an end', { branches: { only: '/pre-prod(?:-.+)?$/' } }, branch('pre-prod-2'), true],
  ['what is ignored', { branches: { ignore: ['dev', '/user-.*/'] } }, branch('dev'), false],
  ['only is looked at before ignore', { branches: { only: 'dev', ignore: 'dev' } }, branch('dev'), true],
  ['a tag that is not ignored', { tags: { ignore: '/.*-rc/' } }, tag('v1'), true],
])('%s', (_name, filters, ref, expected) => {
  expect(passes(filters, ref)).toBe(expected);
});

const job = (name: string, ...requires: string[]): RehearsalJob => ({
  name,
  requires: requires.map((one) => ({ job: one, ends: new Set(['success'] as const) })),
  contexts: [],
  approval: false,
  machine: false,
  environment: {},
  workingDirectory: '~/project',
  steps: [],
});

test('a requirement that is filtered out is ignored, but a job of which all are does not run', () => {
  const filters = { branches: { ignore: 'main' } };
  const selected = selectJobs(
    [
      { job: job('a'), filters },
      { job: job('b') },
      { job: job('c', 'a', 'b') },
      { job: job('d', 'a') },
      { job: job('e', 'd') },
    ],
    branch('main'),
  );
  expect(selected.map(({ name, requires }) => [name, requires.map((one) => one.job)])).toEqual([
    ['b', []],
    ['c', ['b']],
  ]);
});
