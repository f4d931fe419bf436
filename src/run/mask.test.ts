import { expect, test } from 'vitest';
import type { Event } from './event.ts';
import { maskSecrets } from './mask.ts';

test('a secret is masked in output, in a failure’s message and in its log, line by line', () => {
  const events: Event[] = [];
  const emit = maskSecrets((event) => events.push(event), ['hunter22', 'first line\nsecond line', 'abc']);
  emit({ type: 'task-output', task: 'build a linux/amd64', line: 'got hunter22 and abc, second line', time: 1 });
  emit({
    type: 'task-failed',
    task: 'build a linux/amd64',
    durationMs: 1,
    willRetry: false,
    time: 2,
    failure: { kind: 'build', exitCode: 1, message: 'curl -H hunter22 failed', log: ['x', 'first line'] },
  });
  expect(events).toMatchObject([
    { line: 'got *** and abc, ***' },
    { failure: { message: 'curl -H *** failed', log: ['x', '***'] } },
  ]);
});
