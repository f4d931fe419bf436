// The CI log, compared with logs written by hand.
import { expect, test } from 'vitest';
import { begun, failed, succeeded } from './example.ts';
import { createPlainReporter } from './plain.ts';

function log(events: typeof begun, verbose = false): string[] {
  let text = '';
  const reporter = createPlainReporter({ write: (part) => (text += part) }, { color: false, verbose });
  for (const event of events) reporter.event(event);
  reporter.close();
  return text.split('\n').slice(0, -1);
}

test('a run that succeeds prints starts, ends and the summary, and no output of steps', () => {
  expect(log(succeeded)).toEqual([
    'demo: 3 tasks on here, graviton',
    '  here      docker 28, native linux/amd64, 1 slot',
    '  graviton  ssh://ci@arm-1, docker 28, emulated linux/arm64, 1 slot',
    '[base linux/amd64] started on here',
    '[base linux/arm64] started on graviton, emulated',
    '[base linux/amd64] reused (1/3)',
    '[base linux/arm64] done in 5.0 s (2/3)',
    '[publish base] started',
    '[publish base] done in 1.0 s (3/3)',
    'Published:',
    '  org/base:develop  sha256:0123456789ab  linux/amd64, linux/arm64',
    'Reused:',
    '  base linux/amd64',
    'wall 6.2 s, critical path 6.0 s (base arm64 → publish base), 1.04x',
    'Published 1 image for 2 platforms in 6.2 s.',
  ]);
});

test('a failed step shows its whole output, without escape codes, and the run ends with what failed', () => {
  const lines = log(failed);
  expect(lines).toContain('[base linux/arm64]   #5 RUN make');
  expect(lines.some((line) => line.includes('make: exit code 2'))).toBe(true);
  expect(lines.join('')).not.toMatch(/\p{Cc}/u);
  expect(lines.at(-1)).toBe('Failed: 1 of 3 tasks; 1 skipped.');
});

test('verbose prints each line as it comes', () => {
  expect(log(begun, true).at(-1)).toBe('[base linux/arm64] #5 RUN make');
});

test('a run that needs no builder names none', () => {
  const [started] = begun.map((event) => (event.type === 'run-started' ? { ...event, builders: [] } : event));
  expect(log(started ? [started] : [])).toEqual(['demo: 3 tasks']);
});
