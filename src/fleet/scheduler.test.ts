// In which order those who wait get a slot, on a clock that jumps.
import { expect, test } from 'vitest';
import type { Platform } from '../image/platform.ts';
import { cpuMs } from '../testing.ts';
import { createVirtualClock, type VirtualClock } from '../virtual-clock.ts';
import type { Wishes } from './fleet.ts';
import type { Scheduler } from './scheduler.ts';
import { createVirtualScheduler } from './virtual.ts';

const amd64: Platform = { os: 'linux', architecture: 'amd64' };
const arm64: Platform = { os: 'linux', architecture: 'arm64' };
const never = new AbortController().signal;

interface Asked extends Wishes {
  name: string;
  /** When it comes, ms. */
  at?: number;
  /** How long it keeps its slot, ms. */
  takes?: number;
  /** Of this time, how long it needs the slot; then it offers it. */
  needs?: number;
  /** Least priority of those that it offers the slot to. */
  offersTo?: number;
  platform?: Platform;
  signal?: AbortSignal;
}

interface Rig {
  clock: VirtualClock;
  scheduler: Scheduler;
  /** `10 one x`: at that time, the builder began that task; or `10 cancelled x`. */
  log: string[];
  ask(asked: Asked): Promise<void>;
}

function rig(...builders: { name: string; slots: number; native?: Platform[] }[]): Rig {
  const clock = createVirtualClock(0, () => 0.5);
  const scheduler = createVirtualScheduler(
    builders.map(({ name, slots, native = [amd64] }) => ({ name, slots, native, emulated: [] })),
    clock,
  );
  const log: string[] = [];
  return {
    ...{ clock, scheduler, log },
    async ask({ name, at = 0, takes = 10, needs = takes, offersTo = 0, platform = amd64, signal = never, ...wishes }) {
      await clock.sleep(at, never);
      const lease = await scheduler.acquire(platform, 'native', signal, wishes);
      log.push(`${clock.now()} ${lease.ok ? lease.value.builder.name : lease.failure.kind} ${name}`);
      if (!lease.ok) return;
      await clock.sleep(needs, never);
      lease.value.offerSlot(({ priority }) => priority >= offersTo);
      await clock.sleep(takes - needs, never);
      await lease.value.release();
    },
  };
}

/** All that is asked, in this order; what was begun. */
async function begun({ clock, scheduler, log, ask }: Rig, all: Asked[]): Promise<string[]> {
  await clock.run(Promise.all(all.map(ask)));
  await clock.run(scheduler.close());
  return log;
}

test('a slot goes to the most urgent of those that are there at that moment, whoever came first', async () => {
  const all = [
    { name: 'low', priority: 1 },
    { name: 'high', priority: 3 },
    { name: 'late', priority: 9, at: 5 },
    { name: 'middle', priority: 2 },
  ];
  expect(await begun(rig({ name: 'one', slots: 1 }), all)).toEqual([
    '0 one high',
    '10 one late',
    '20 one middle',
    '30 one low',
  ]);
});

test('of those that are as urgent, who came first is served first', async () => {
  const all = ['a', 'b', 'c', 'd'].map((name) => ({ name }));
  expect(await begun(rig({ name: 'one', slots: 1 }), all)).toEqual(['0 one a', '10 one b', '20 one c', '30 one d']);
});

test('nobody waits behind a more urgent one that needs another machine', async () => {
  const hosts = rig({ name: 'intel', slots: 1 }, { name: 'arm', slots: 1, native: [arm64] });
  const all = [
    { name: 'first', platform: arm64, priority: 9 },
    { name: 'second', platform: arm64, priority: 8 },
    { name: 'other', priority: 1 },
  ];
  expect(await begun(hosts, all)).toEqual(['0 arm first', '0 intel other', '10 arm second']);
});

test('who has its layers on the free slot goes before one that is but a little more urgent', async () => {
  const expected = (): number => 20_000;
  const hosts = rig({ name: 'one', slots: 1 }, { name: 'two', slots: 1 });
  // A fifth of 20 s is what layers are worth here.
  const all = [
    { name: 'fills-one', priority: 1e9, prefer: 'one' },
    { name: 'fills-two', priority: 1e9, prefer: 'two', takes: 1000 },
    { name: 'at-home', at: 1, priority: 50_000, prefer: 'one', expected },
    { name: 'slightly', at: 1, priority: 53_000, prefer: 'two', expected },
    { name: 'far', at: 1, priority: 55_000, prefer: 'two', expected },
  ];
  expect(await begun(hosts, all)).toEqual([
    ...['0 one fills-one', '0 two fills-two', '10 one far', '20 one at-home', '30 one slightly'],
  ]);
});

test('layers decide nothing where there is one builder', async () => {
  const expected = (): number => 20_000;
  const all = [
    { name: 'fills', priority: 1e9 },
    { name: 'at-home', at: 1, priority: 50_000, prefer: 'one', expected },
    { name: 'slightly', at: 1, priority: 53_000, expected },
  ];
  expect(await begun(rig({ name: 'one', slots: 1 }), all)).toEqual([
    '0 one fills',
    '10 one slightly',
    '20 one at-home',
  ]);
});

test('the preferred builder is taken unless another is quicker by more than layers are worth', async () => {
  const quickerBy = (ms: number) => (builder: string) => (builder === 'one' ? 20_000 : 20_000 - ms);
  const ask = async (ms: number): Promise<string[]> =>
    begun(rig({ name: 'two', slots: 1 }, { name: 'one', slots: 1 }), [
      { name: 'x', prefer: 'one', expected: quickerBy(ms) },
    ]);
  expect(await ask(0)).toEqual(['0 one x']);
  expect(await ask(3000)).toEqual(['0 one x']);
  expect(await ask(6000)).toEqual(['0 two x']);
});

test('who is to be avoided gets the task only where there is no other', async () => {
  expect(await begun(rig({ name: 'one', slots: 1 }), [{ name: 'x', avoid: 'one' }])).toEqual(['0 one x']);
  const two = rig({ name: 'one', slots: 1 }, { name: 'two', slots: 1 });
  expect(
    await begun(two, [
      { name: 'x', avoid: 'one' },
      { name: 'y', avoid: 'one' },
    ]),
  ).toEqual(['0 two x', '10 two y']);
});

test('those who wait on a signal that is aborted leave, and the others are served', async () => {
  const hosts = rig({ name: 'one', slots: 1 });
  const stop = new AbortController();
  const all = [
    { name: 'runs', priority: 9 },
    { name: 'gives-up', priority: 8, signal: stop.signal },
    { name: 'gives-up-too', priority: 7, signal: stop.signal },
    { name: 'stays', priority: 1 },
  ];
  const aborting = hosts.clock.sleep(5, never).then(() => stop.abort());
  expect(await begun(hosts, all)).toEqual([
    ...['0 one runs', '5 cancelled gives-up', '5 cancelled gives-up-too', '10 one stays'],
  ]);
  await aborting;
});

test('ten thousand waiters are no trouble: the next is not looked for among all of them', async () => {
  const hosts = rig({ name: 'one', slots: 4 }, { name: 'two', slots: 4 });
  const all = Array.from({ length: 10_000 }, (_, n) => ({ name: `t${n}`, priority: (n * 7919) % 10_007 }));
  const started = cpuMs();
  expect(await begun(hosts, all)).toHaveLength(10_000);
  // One second on a machine that has nothing else to do; looked for among all, it would be minutes.
  expect(cpuMs() - started).toBeLessThan(10_000);
});

test('a task that needs its slot no more lets the next go on beside it', async () => {
  const all = ['a', 'b', 'c'].map((name) => ({ name, takes: 15, needs: 10 }));
  expect(await begun(rig({ name: 'one', slots: 1 }), all)).toEqual(['0 one a', '10 one b', '20 one c']);
});

test('only those have an offered slot whom it is offered to; the others wait for the task’s end', async () => {
  const all = [
    { name: 'a', priority: 9, takes: 15, needs: 10, offersTo: 5 },
    { name: 'low', priority: 1 },
    { name: 'high', priority: 5, at: 12 },
  ];
  expect(await begun(rig({ name: 'one', slots: 1 }), all)).toEqual(['0 one a', '12 one high', '22 one low']);
});

test('what is built faster than it is pushed waits: a builder has at most as many pushes beside its builds as slots', async () => {
  const all = ['a', 'b', 'c', 'd'].map((name) => ({ name, takes: 100, needs: 10 }));
  expect(await begun(rig({ name: 'one', slots: 1 }), all)).toEqual(['0 one a', '10 one b', '100 one c', '110 one d']);
});
