// The terminal reporter's life: how often it draws, what it leaves, that it ends.
import { Writable } from 'node:stream';
import { stripVTControlCharacters } from 'node:util';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { begun, failed } from './example.ts';
import { createTerminalReporter } from './terminal.ts';

beforeEach(() => void vi.useFakeTimers({ now: 0 }));
afterEach(() => void vi.useRealTimers());

function start(): { reporter: ReturnType<typeof createTerminalReporter>; written: string[] } {
  const written: string[] = [];
  const stream = Object.assign(
    new Writable({
      write(chunk, _encoding, done) {
        written.push(String(chunk));
        done();
      },
    }),
    { isTTY: true },
  );
  const size = { columns: () => 80, rows: () => 24 };
  return { reporter: createTerminalReporter(stream, { color: false, now: Date.now, ...size }), written };
}

test('many events within a second draw at most ten times', () => {
  const { reporter, written } = start();
  for (const event of begun) reporter.event(event);
  for (let ms = 0; ms < 1000; ms++) {
    reporter.event({ type: 'task-output', time: ms, task: 'build base linux/amd64', line: `line ${ms}` });
    vi.advanceTimersByTime(1);
  }
  expect(written.filter((text) => text.includes('demo')).length).toBeLessThanOrEqual(10);
  reporter.close();
});

test('a failure stays above the live area, the verdict is the last line, and nothing comes after close', () => {
  const { reporter, written } = start();
  for (const event of failed) reporter.event(event);
  reporter.close();
  const text = stripVTControlCharacters(written.join(''));
  expect(text).toContain('✖ base linux/arm64 failed after 5.0 s\n  #5 RUN make\n');
  expect(text.endsWith('Failed: 1 of 3 tasks; 1 skipped.\n')).toBe(true);
  const before = written.length;
  for (const event of begun) reporter.event(event);
  reporter.close();
  vi.advanceTimersByTime(1000);
  expect(written.length).toBe(before);
});

test('a failure is written above the area while it is live', () => {
  const { reporter, written } = start();
  for (const event of failed.slice(0, 4)) reporter.event(event);
  vi.advanceTimersByTime(200);
  for (const event of failed.slice(4, 5)) reporter.event(event);
  vi.advanceTimersByTime(200);
  const text = written.join('');
  expect(text).toContain('make: exit code 2');
  expect(text.lastIndexOf('make: exit code 2')).toBeLessThan(text.lastIndexOf('demo  0/3 tasks'));
  reporter.close();
});

test('the cursor that drawing hid is back after close', () => {
  // log-update hides the cursor of the process's stderr, whatever stream it draws on.
  const tty = process.stderr.isTTY;
  process.stderr.isTTY = true;
  const write = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  try {
    const { reporter } = start();
    for (const event of begun) reporter.event(event);
    vi.advanceTimersByTime(200);
    reporter.close();
    const sequences = write.mock.calls.map(([text]) => text).filter((text) => String(text).includes('[?25'));
    expect(sequences[0]).toBe('\u001b[?25l');
    expect(sequences.at(-1)).toBe('\u001b[?25h');
  } finally {
    write.mockRestore();
    process.stderr.isTTY = tty;
  }
});
