// What journals tell of repositories, from events as runs write them.
import { expect, test } from 'vitest';
import { sha256 } from '../image/digest.ts';
import type { Event } from '../run/event.ts';
import { parseJournal } from '../run/journal.ts';
import { knownFrom } from './journals.ts';

const task = (id: string) => ({ kind: 'build', id, image: 'app', repository: 'team/app' });
const [one, two, three] = ['one', 'two', 'three'].map(sha256);

function journal(run: string, time: number, ...events: object[]): Event[] {
  const started = { type: 'run-started', run, time, plan: { family: 'f', tasks: [task('build app linux/amd64')] } };
  return parseJournal([started, ...events].map((event) => JSON.stringify({ time, ...event })).join('\n'));
}
const built = (digest = '', stagedTag = '') => ({
  type: 'task-finished',
  task: 'build app linux/amd64',
  digest,
  stagedTag,
  durationMs: 1,
});
const moved = (digest = '', previous?: string) => ({
  type: 'tag-moved',
  reference: '127.0.0.1:39001/team/app:develop',
  digest,
  ...(previous === undefined ? {} : { previous }),
});
const done = { type: 'run-finished', outcome: 'done' };

test('what was built or lost its tag is listed, with when; the last way back and the newest run are kept', () => {
  const known = knownFrom([
    journal('a', 1, built(one, 'a-amd64'), moved(one), done),
    journal('b', 2, built(two, 'b-amd64'), moved(two, one), done),
    journal('c', 3, built(three, 'c-amd64'), moved(three, two), done),
  ]).get('team/app');
  expect(Object.fromEntries(known?.listed ?? [])).toEqual({ [one ?? '']: 2, [two ?? '']: 3, [three ?? '']: 3 });
  expect([...(known?.wayBack ?? [])]).toEqual([['develop', two]]);
  expect([...(known?.pinnedDigests ?? [])]).toEqual([[three, 'the newest run']]);
  expect([...(known?.pinnedTags ?? [])]).toEqual([]);
});

test('what a stopped run has built is kept until a run is done, for the next one to go on from', () => {
  const stopped = [journal('a', 1, built(one, 'a-amd64')), journal('b', 2)];
  const known = knownFrom(stopped).get('team/app');
  expect([...(known?.pinnedTags.keys() ?? [])]).toEqual(['a-amd64']);
  expect(known?.pinnedDigests.has(one ?? '')).toBe(true);
  const later = knownFrom([...stopped, journal('c', 3, done)]).get('team/app');
  expect(later?.pinnedTags.size).toBe(0);
});
