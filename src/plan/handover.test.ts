// Who may have the slot of a build that only pushes any more.
import { expect, test } from 'vitest';
import { createHandover } from './handover.ts';
import type { Task } from './plan.ts';
import { amd64, arm64, buildTask, planOf, publishTask } from './testing.ts';

const build = (image: string, ...parents: string[]) => buildTask(image, amd64, parents);

/** Every build takes 10, and a publish 4; the most urgent is the one with the longest chain behind it. */
function handoverOf(tasks: Task[], slots: number) {
  const expected = (id: string): number => (id.startsWith('publish') ? 4 : 10);
  const remaining = (id: string): number =>
    expected(id) + Math.max(0, ...tasks.filter(({ needs }) => needs.includes(id)).map((task) => remaining(task.id)));
  const builders = [{ native: [amd64, arm64], emulated: [], slots }];
  const handover = createHandover(planOf(tasks), { expected, remaining }, builders);
  return {
    /** Whether `next` may go on in the slot of `pushing`. */
    follows: (next: string, pushing: string) =>
      handover.mayFollow(build(pushing))({ priority: remaining(build(next).id), expected: expected(build(next).id) }),
    end: (image: string) => handover.ended(build(image)),
  };
}

test('anybody follows a build that nothing waits for', () => {
  const { follows } = handoverOf([build('leaf'), build('other')], 2);
  expect(follows('other', 'leaf')).toBe(true);
});

test('on a single slot all builds take as long in any order, whatever is published after them', () => {
  const last = build('b', 'a');
  const tasks = [build('a'), last, build('other'), publishTask('b', [last])];
  expect(handoverOf(tasks, 1).follows('other', 'a')).toBe(true);
});

test('what waits for a push is not made to wait for less urgent work as well where that would make the run longer', () => {
  const tasks = [build('a'), build('b', 'a'), build('c', 'b'), build('d', 'c'), build('other')];
  const { follows } = handoverOf(tasks, 2);
  // Three more of the chain: 30. Left for the two slots: 20 each.
  expect(follows('other', 'a')).toBe(false);
  expect(follows('b', 'a')).toBe(true);
});

test('where the slots have more to do than the chain is long, less urgent work goes on', () => {
  const others = Array.from({ length: 8 }, (_, number) => build(`o${number}`));
  const { follows, end } = handoverOf([build('a'), build('b', 'a'), build('c', 'b'), ...others], 2);
  // 100 left for two slots: one that is begun now, and the chain after it, end within them.
  expect(follows('o0', 'a')).toBe(true);
  for (let number = 0; number < 6; number += 1) end(`o${number}`);
  // 40 left: it would not.
  expect(follows('o6', 'a')).toBe(false);
});

test('work of another platform is another platform’s', () => {
  const others = Array.from({ length: 8 }, (_, number) => buildTask(`o${number}`, arm64));
  const { follows } = handoverOf([build('a'), build('b', 'a'), build('c', 'b'), build('last'), ...others], 2);
  expect(follows('last', 'a')).toBe(false);
});
