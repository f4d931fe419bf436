// What a run says and publishes, with the values of secrets planted in it.
import { expect, test } from 'vitest';
import type { Failure } from '../failure.ts';
import type { Plan } from '../plan/plan.ts';
import type { Event } from './event.ts';
import { maskSecrets, secretsInArgs, secretValues } from './mask.ts';

function plan(args: Record<string, string>, tags = ['develop'], secrets = ['TOKEN']): Plan {
  const platform = { os: 'linux', architecture: 'amd64' };
  return {
    version: 1,
    family: 'f',
    publish: 'image',
    failedPlatform: 'hold',
    gates: [],
    tasks: [
      {
        ...{ kind: 'build', id: 'build a linux/amd64', image: 'a', platform, mode: 'native', repository: 'o/a' },
        ...{ context: '/c', dockerfile: '/c/Dockerfile', args, secrets, upstreams: [], needs: [] },
      },
      {
        ...{ kind: 'publish', id: 'publish a', image: 'a', repository: 'o/a', tags, needs: ['build a linux/amd64'] },
        audit: { mode: 'stop', allow: [] },
        builds: [{ task: 'build a linux/amd64', platform, archTags: [`${tags[0]}-amd64`] }],
      },
    ],
  };
}

function emitted(events: Event[], values: string[]): Event[] {
  const seen: Event[] = [];
  const emit = maskSecrets((event) => seen.push(event), values);
  for (const event of events) emit(event);
  return seen;
}

const failed = (failure: Failure): Event => ({
  ...{ type: 'task-failed', task: 'build a linux/amd64', durationMs: 1, willRetry: false, time: 2, failure },
});

test('a secret is masked in output, in a failure’s message and in its log, line by line', () => {
  const events = emitted(
    [
      { type: 'task-output', task: 'build a linux/amd64', line: 'got hunter22 and abc, second line', time: 1 },
      failed({ kind: 'build', exitCode: 1, message: 'curl -H hunter22 failed', log: ['x', 'first line'] }),
    ],
    ['hunter22', 'first line\nsecond line', 'abc'],
  );
  expect(events).toMatchObject([
    { line: 'got *** and abc, ***' },
    { failure: { message: 'curl -H *** failed', log: ['x', '***'] } },
  ]);
});

test('every part of every kind of failure is masked, and of the plan that a run begins with', () => {
  const said = { message: 'a hunter22', where: 'b hunter22', tried: ['c hunter22'], help: 'd hunter22' };
  const location = { file: 'hunter22', line: 1, column: 1, text: 'hunter22' };
  const events = emitted(
    [
      {
        ...{ type: 'run-started', run: 'r', builders: [], lastDurations: {}, time: 0 },
        plan: plan({ A: 'x hunter22' }, ['hunter22']),
      },
      failed({ kind: 'diagnostics', diagnostics: [{ code: 'c', severity: 'error', location, ...said }] }),
      failed({ kind: 'source', transient: false, ...said }),
      failed({ kind: 'registry', transient: false, status: 401, code: 'DENIED', ...said }),
      failed({ kind: 'engine', transient: true, ...said }),
      failed({ kind: 'usage', ...said }),
      failed({ kind: 'cancelled' }),
      { type: 'task-skipped', task: 't', because: 'hunter22', time: 1 },
      { type: 'tag-moved', reference: 'r/o/a:hunter22', digest: `sha256:${'a'.repeat(64)}`, time: 1 },
    ],
    ['hunter22'],
  );
  expect(JSON.stringify(events)).not.toContain('hunter22');
  expect(events[3]).toMatchObject({ failure: { kind: 'registry', status: 401, code: 'DENIED', message: 'a ***' } });
});

test('a help that may spell the value otherwise goes with it, and others stay', () => {
  const one = { code: 'tag', severity: 'error' as const, help: "write 'hunter-22'" };
  const diagnostics = [
    { ...one, message: "'hunter/22' can't be a tag" },
    { ...one, message: 'https://u:p@h is none' },
  ];
  expect(emitted([failed({ kind: 'diagnostics', diagnostics })], ['hunter/22'])[0]).toMatchObject({
    failure: {
      diagnostics: [
        { code: 'tag', severity: 'error', message: "'***' can't be a tag" },
        { ...one, message: 'https://u:***@h is none' },
      ],
    },
  });
  expect(
    JSON.stringify(emitted([failed({ kind: 'diagnostics', diagnostics: diagnostics.slice(0, 1) })], ['hunter/22'])),
  ).not.toContain('help');
});

test('what identifies tasks and images stays, whatever the value is', () => {
  const digest = `sha256:${'abcdef01'.repeat(8)}`;
  const event: Event = {
    ...{
      type: 'task-finished',
      task: 'build a linux/amd64',
      durationMs: 1,
      time: 2,
      digest,
      stagedTag: 'abcdef01-amd64',
    },
    key: digest,
  };
  expect(emitted([event], ['abcdef01', 'build', 'linux/amd64'])).toEqual([event]);
});

test('URLs lose their credentials without anybody naming them', () => {
  const line = 'fetch https://ci:hunter22@h/x, https://ghp_x@h, ssh://git@h/y and git@h:y';
  expect(emitted([{ type: 'task-output', task: 't', line, time: 1 }], [])).toMatchObject([
    { line: 'fetch https://ci:***@h/x, https://***@h, ssh://git@h/y and git@h:y' },
  ]);
});

test('the values of a plan are those of its secrets, by either name, and the credentials in its arguments', () => {
  const values = secretValues(plan({ REPO: 'https://ci:p%40ss-word@h/r' }, ['x'], ['token', 'none']), { TOKEN: 'v' });
  expect(values).toEqual(['v', 'p%40ss-word', 'p@ss-word']);
});

test.each([
  [plan({ A: 'Bearer hunter22' }), "build argument 'A' of image 'a' holds the value of the secret 'TOKEN'"],
  [plan({ A: Buffer.from('ci:hunter22').toString('base64') }), "build argument 'A'"],
  [plan({}, ['v-hunter22']), "a tag of image 'a'"],
  [plan({ A: 'https://ci:long-password@h/r' }), 'is a URL with credentials'],
])('a plan that would publish a value is refused, without saying it (%#)', (refused, message) => {
  const failure = secretsInArgs(refused, { TOKEN: 'hunter22' });
  expect(failure).toMatchObject({
    kind: 'diagnostics',
    diagnostics: [{ message: expect.stringContaining(message) }],
  });
  expect(JSON.stringify(failure)).not.toMatch(/hunter22|long-password/);
});

test.each([
  [{ A: 'a', URL: 'https://h/r', SSH: 'ssh://git@h/r' }, 'hunter22'],
  [{ HTTP_PROXY: 'http://ci:long-password@proxy' }, 'hunter22'],
  // A value as short as a word is only found where it is all there is.
  [{ A: 'latest' }, 'test'],
])('other plans are not (%#)', (args, TOKEN) => {
  expect(secretsInArgs(plan(args), { TOKEN })).toBeUndefined();
});

test('a value as short as a word is refused where it is all there is', () => {
  expect(secretsInArgs(plan({ A: 'test' }), { TOKEN: 'test' })).toBeDefined();
});
