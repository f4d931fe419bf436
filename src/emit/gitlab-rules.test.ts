// When GitLab runs which jobs, and what keeps workflows apart that run together.
import { describe, expect, test } from 'vitest';
import { emitted, job, type On, readGitlab, workflows } from './gitlab-testing.ts';

describe('rules', () => {
  const source = '$CI_PIPELINE_SOURCE';
  test.each<[On, string[]]>([
    [{}, [`${source} == "push" || ${source} == "web"`]],
    [{ branch: 'main' }, [`$CI_COMMIT_BRANCH == "main" && ${source} != "schedule"`]],
    [{ branch: 'a"/b' }, [`$CI_COMMIT_BRANCH =~ /^a"\\/b$/ && ${source} != "schedule"`]],
    [{ tag: 'v6.*' }, ['$CI_COMMIT_TAG =~ /^v6\\..*$/']],
    [{ tag: 'v6.0' }, ['$CI_COMMIT_TAG == "v6.0"']],
    [{ tag: '/^v\\d+$/' }, ['$CI_COMMIT_TAG =~ /^v\\d+$/']],
    [{ tag: 'v?/*' }, ['$CI_COMMIT_TAG =~ /^v.\\/.*$/']],
    [{ schedule: '0 4 * * *' }, [`${source} == "schedule"`]],
  ])('of %j', (on, rules) => {
    expect(readGitlab(emitted(workflows({ w: [job('a')] }, { w: on }))).get('a')?.rules).toEqual(rules);
  });

  test('of two schedules, which only a variable tells apart', () => {
    const file = emitted(
      workflows({ a: [job('x')], b: [job('y')] }, { a: { schedule: '0 4 * * *' }, b: { schedule: '0 5 * * 0' } }),
    );
    expect(readGitlab(file).get('y')?.rules).toEqual([`${source} == "schedule" && $WORKFLOW == "b"`]);
    expect(file).toContain(
      '# Pipeline schedule to set in the project: 0 5 * * 0, with the variable WORKFLOW = b (workflow b)',
    );
  });
});

test('workflows that may run in one pipeline name their images apart', () => {
  const run = (on: Record<string, On>): unknown[] =>
    [...readGitlab(emitted(workflows({ a: [job('x')], b: [job('x')] }, on))).values()].map(
      ({ params }) => params.RUN_ID,
    );
  expect(run({ a: { branch: 'main' }, b: { tag: 'v*' } })).toEqual(['42', '42']);
  expect(run({ a: { branch: 'main' }, b: {} })).toEqual(['42-a', '42-b']);
  const idle = { name: 'c', on: {}, jobs: [] };
  const { workflows: both } = workflows({ a: [job('x')], b: [job('y')] });
  expect(emitted({ family: 'f', workflows: [...both, idle] })).not.toContain('$CI_PIPELINE_ID-');
  expect(run({ a: { tag: 'v1*' }, b: { tag: 'v*' } })).toEqual(['42-a', '42-b']);
});
