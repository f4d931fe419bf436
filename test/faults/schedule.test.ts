// Schedules of faults: made from a seed alone, of every kind, and killing splitbuild at each event of a run.
import { expect, test } from 'vitest';
import { kinds, makeSchedule } from './schedule.ts';

const events = 74;
const hundreds = Array.from({ length: 400 }, (_, place) => makeSchedule(5, place + 1, events));

test('the same seed and number give the same schedule, others another', () => {
  expect(makeSchedule(5, 17, events)).toEqual(hundreds[16]);
  expect(makeSchedule(6, 17, events).runs).not.toEqual(hundreds[16]?.runs);
});

test('every kind of fault is in the first thirty schedules', () => {
  const found = new Set(hundreds.slice(0, 30).flatMap(({ runs }) => runs.flat().map(({ kind }) => kind)));
  expect([...found].sort()).toEqual([...kinds].sort());
});

test('with two schedules an event, splitbuild is killed at every event of a run', () => {
  const killed = hundreds
    .slice(0, 2 * events)
    .flatMap(({ runs }) =>
      (runs[0] ?? []).flatMap((fault) =>
        fault.kind === 'splitbuild-kill' && fault.count === 'events' ? [fault.at] : [],
      ),
    );
  expect([...new Set(killed)].sort((a, b) => a - b)).toEqual(Array.from({ length: events }, (_, place) => place + 1));
});

test('half of the schedules publish the family as one', () => {
  expect(hundreds.filter(({ publish }) => publish === 'family')).toHaveLength(200);
});
