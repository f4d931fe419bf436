import { appendFileSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import type { Plan, PublishTask } from '../plan/plan.ts';
import { smallDisk } from '../testing.ts';
import type { Event } from './event.ts';
import { type History, openJournal, readHistory } from './journal.ts';

const digest = `sha256:${'a'.repeat(64)}`;
const publish: PublishTask = {
  ...{ kind: 'publish', id: 'publish base', image: 'base', repository: 'base', builds: [], tags: [], needs: [] },
  audit: { mode: 'stop', allow: [] },
};
const plan: Plan = {
  ...{ version: 1, family: 'shop', publish: 'image', failedPlatform: 'hold', gates: [] },
  tasks: [publish],
};
const here = { name: 'here', endpoint: 'local', engine: 'docker', native: ['linux/amd64'], emulated: [], slots: 2 };
const started: Event = { type: 'run-started', run: 'r', plan, builders: [here], lastDurations: {}, time: 0 };
const finished: Event = {
  type: 'task-finished',
  task: 'build base linux/amd64',
  durationMs: 1200,
  digest,
  stagedTag: 'r1-amd64',
  key: 'k',
  time: 1,
};

function write(folder: string, run: string, events: Event[]): void {
  const journal = openJournal(folder, run);
  if (!journal.ok) throw new Error('no journal');
  for (const event of events) journal.value.append(event);
  journal.value.close();
}

test('a run that was killed leaves its finished builds for the next, a torn last line notwithstanding', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'journal-'));
  write(folder, '1', [started, finished]);
  appendFileSync(join(folder, '1.jsonl'), '{"type":"task-fini');
  const history = await readHistory(folder, 'shop');
  expect(history.unfinished.get('build base linux/amd64')).toEqual({ digest, stagedTag: 'r1-amd64', key: 'k' });
  expect(history.durations).toEqual({ 'build base linux/amd64': 1200 });
});

test('a run that was done leaves its durations only', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'journal-'));
  write(folder, '1', [
    started,
    finished,
    { type: 'run-finished', run: 'r', outcome: 'done', wallMs: 1, criticalPathMs: 1, criticalPath: [], time: 2 },
  ]);
  const history = await readHistory(folder, 'shop');
  expect(history.unfinished.size).toBe(0);
  expect(history.durations).toEqual({ 'build base linux/amd64': 1200 });
});

test('what was reused is gone on with after a run that was not done, and not after one that was', async () => {
  const reused = { type: 'task-reused' as const, task: 'build base linux/amd64', time: 1 };
  const end = { type: 'run-finished' as const, run: 'r', wallMs: 1, criticalPathMs: 1, criticalPath: [], time: 2 };
  const made = { digest, stagedTag: 'r1-amd64', key: 'k' };
  const left = (outcome: 'done' | 'failed'): Promise<History> => {
    const folder = mkdtempSync(join(tmpdir(), 'journal-'));
    write(folder, '1', [started, { ...reused, ...made }, { ...end, outcome }]);
    return readHistory(folder, 'shop');
  };
  expect((await left('failed')).unfinished.get('build base linux/amd64')).toEqual(made);
  expect((await left('done')).unfinished.size).toBe(0);
});

test('journals are read alike wherever the tasks stand in them, and whatever texts look like a journal', async () => {
  const strange = { ...here, name: 'a,"tasks":[{', engine: '{"type":"task-output"' };
  const begin: Event = { ...started, builders: [strange], plan: { ...plan, family: 'ä' } };
  const folder = mkdtempSync(join(tmpdir(), 'journal-'));
  write(folder, '1', [begin, { ...finished, task: 'build ä linux/amd64' }]);
  const before = mkdtempSync(join(tmpdir(), 'journal-'));
  const lines = [begin, { ...finished, task: 'build ä linux/amd64' }].map((event) => `${JSON.stringify(event)}\n`);
  appendFileSync(join(before, '1.jsonl'), lines.join(''));
  const history = await readHistory(folder, 'ä');
  expect([...history.builders.values()]).toEqual([strange]);
  expect([...history.unfinished.keys()]).toEqual(['build ä linux/amd64']);
  expect(await readHistory(before, 'ä')).toEqual(history);
});

test('a run without tasks, as a rollback is one, leaves unfinished what it found unfinished', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'journal-'));
  write(folder, '1', [started, finished]);
  const end = { type: 'run-finished' as const, run: 'r', wallMs: 1, criticalPathMs: 1, criticalPath: [], time: 2 };
  write(folder, '2', [
    { ...started, run: 'back', plan: { ...plan, tasks: [] } },
    { ...end, outcome: 'done' },
  ]);
  expect((await readHistory(folder, 'shop')).unfinished.size).toBe(1);
});

test('the journal of another family is passed over', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'journal-'));
  write(folder, '1', [started, finished]);
  expect((await readHistory(folder, 'other')).durations).toEqual({});
});

test('it tells which builder took how long for what, of tries that failed as little as of what was reused', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'journal-'));
  const begin = { type: 'task-started' as const, task: 'build base linux/amd64', attempt: 1, time: 0 };
  const failure = { kind: 'engine' as const, transient: true, message: 'gone' };
  write(folder, '1', [
    started,
    { ...begin, builder: 'there' },
    { type: 'task-failed', task: begin.task, durationMs: 7, failure, willRetry: true, time: 0 },
    { ...begin, builder: 'here', attempt: 2, emulated: true },
    finished,
    { type: 'task-reused', task: 'build app linux/amd64', time: 0 },
    { type: 'task-finished', task: 'publish base', durationMs: 5, time: 0 },
  ]);
  const { samples, builders } = await readHistory(folder, 'shop');
  expect(samples).toEqual([{ task: begin.task, builder: 'here', emulated: true, durationMs: 1200 }]);
  expect([...builders.values()]).toEqual([here]);
});

const disk = smallDisk('size=64k');
afterAll(disk.unmount);

test.runIf(disk.mounted)(
  'what is said to be in the journal is there whole, also of the last line that the disk had room for',
  () => {
    const journal = openJournal(join(disk.folder, 'runs'), 'r');
    if (!journal.ok) throw new Error('no journal');
    const event: Event = { type: 'task-output', task: 'a', line: 'x'.repeat(6000), time: 1 };
    let said = 0;
    while (said < 100 && journal.value.append(event).ok) said += 1;
    journal.value.close();
    const lines = readFileSync(join(disk.folder, 'runs/r.jsonl'), 'utf8').split('\n');
    expect(lines.filter((line) => line === JSON.stringify(event))).toHaveLength(said);
    expect(said).toBeLessThan(100);
  },
);
