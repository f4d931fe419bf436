// The order of jobs, with jobs that only say when they ran.
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { RehearsalJob, Requirement } from './pipeline.ts';
import { longestChain, requiredJobs, runWorkflow } from './run.ts';

function job(name: string, ...requires: (string | [string, ...('success' | 'failed' | 'not_run')[]])[]): RehearsalJob {
  const requirements = requires.map((one): Requirement => {
    const [job, ...ends] = typeof one === 'string' ? [one, 'success' as const] : one;
    return { job, ends: new Set(ends) };
  });
  return {
    name,
    requires: requirements,
    contexts: [],
    approval: false,
    machine: false,
    environment: {},
    workingDirectory: '~/project',
    steps: [],
  };
}

async function run(jobs: RehearsalJob[], failing: string[] = [], limit = 2, abortAt?: string) {
  const controller = new AbortController();
  const log: string[] = [];
  let now = 0;
  let most = 0;
  const open = new Set<string>();
  const end = await runWorkflow(
    jobs,
    {
      limit,
      now: () => now,
      skipped: ({ name }, because) => log.push(`${name} skipped: ${because}`),
      async run({ name }) {
        open.add(name);
        most = Math.max(most, open.size);
        if (name === abortAt) controller.abort();
        await sleep(1);
        now += 10;
        open.delete(name);
        log.push(name);
        return controller.signal.aborted ? 'canceled' : failing.includes(name) ? 'failed' : 'success';
      },
    },
    controller.signal,
  );
  return { ...end, log, most };
}

test('a job starts after all that it requires, and never more at a time than allowed', async () => {
  const jobs = [job('a'), job('b'), job('c'), job('d', 'a', 'c'), job('e', 'd')];
  const { log, most, outcome } = await run(jobs);
  expect(outcome).toBe('success');
  expect(most).toBe(2);
  expect(log.indexOf('d')).toBeGreaterThan(log.indexOf('c'));
  expect(log.at(-1)).toBe('e');
  expect((await run(jobs, [], 1)).log).toEqual(['a', 'b', 'c', 'd', 'e']);
});

test('a failure stops what requires it, however far; what waits for a failure runs', async () => {
  const jobs = [
    job('a'),
    job('b', 'a'),
    job('c', 'b'),
    job('d'),
    job('on-fail', ['a', 'failed']),
    job('gone', ['d', 'failed']),
  ];
  const { log, outcome } = await run(jobs, ['a']);
  expect(outcome).toBe('failed');
  expect(log.sort()).toEqual([
    'a',
    'b skipped: a failed',
    'c skipped: b was not run',
    'd',
    'gone skipped: d succeeded',
    'on-fail',
  ]);
});

test('after an interruption nothing is begun', async () => {
  const { log, outcome } = await run([job('a'), job('b', 'a'), job('c')], [], 1, 'a');
  expect(log).toEqual(['a']);
  expect(outcome).toBe('interrupted');
});

test('the longest chain counts the time of jobs, not their number', () => {
  const jobs = [job('a'), job('b', 'a'), job('c', 'b'), job('slow', 'a'), job('end', 'c', 'slow'), job('never', 'end')];
  const durations = new Map([
    ['a', 10],
    ['b', 10],
    ['c', 10],
    ['slow', 100],
    ['end', 5],
  ]);
  expect(longestChain(jobs, durations)).toEqual({ jobs: ['a', 'slow', 'end'], durationMs: 115 });
  expect([...(requiredJobs(jobs).get('end') ?? [])].sort()).toEqual(['a', 'b', 'c', 'slow']);
});
