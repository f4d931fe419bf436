// Which builder takes which platform.

import { expect, test } from 'vitest';
import { systemClock } from '../clock.ts';
import { createDockerEngine } from '../engine/docker.ts';
import { type Platform, parsePlatform } from '../image/platform.ts';
import type { Builder, Fleet } from './fleet.ts';
import type { SlotOffer } from './health.ts';
import { usualHealth } from './health.ts';
import { createScheduler } from './scheduler.ts';

function platform(text: string): Platform {
  const parsed = parsePlatform(text);
  if (!parsed.ok) throw new Error(text);
  return parsed.value;
}

function builder(name: string, native: string[], emulated: string[], slots: number): Builder {
  return {
    name,
    endpoint: 'local',
    engine: createDockerEngine({ connection: { kind: 'default' }, endpoint: 'local', env: {} }),
    info: { engine: 'docker', version: '28', client: '', machine: platform(native[0] ?? 'linux/amd64'), cpus: slots },
    native: native.map(platform),
    emulated: emulated.map(platform),
    slots,
    registryAddress: '127.0.0.1:1',
  };
}

function scheduler(builders: Builder[]): Fleet['acquire'] {
  const members = builders.map((builder) => ({
    name: builder.name,
    endpoint: builder.endpoint,
    open: async () => ({ ok: true as const, value: { builder, close: async () => undefined } }),
    opened: { builder, close: async () => undefined },
    running: 0,
    taken: 0,
    offers: new Set<SlotOffer>(),
    onLost: new Set<() => void>(),
  }));
  return createScheduler(members, { health: usualHealth, clock: systemClock, settle: 0, onHealth: () => undefined })
    .acquire;
}

const never = new AbortController().signal;

async function take(acquire: Fleet['acquire'], text: string, mode: 'native' | 'emulated' = 'native') {
  const lease = await acquire(platform(text), mode, never);
  if (!lease.ok) throw new Error(JSON.stringify(lease.failure));
  return lease.value;
}

test('the least loaded builder of the platform is taken', async () => {
  const acquire = scheduler([builder('small', ['linux/amd64'], [], 2), builder('big', ['linux/amd64'], [], 4)]);
  const names: string[] = [];
  for (let n = 0; n < 6; n += 1) names.push((await take(acquire, 'linux/amd64')).builder.name);
  expect(names.filter((name) => name === 'big')).toHaveLength(4);
  expect(names.slice(0, 3).sort()).toEqual(['big', 'big', 'small']);
});

test('a busy native builder is waited for rather than emulated elsewhere', async () => {
  const acquire = scheduler([
    builder('arm', ['linux/arm64'], [], 1),
    builder('intel', ['linux/amd64'], ['linux/arm64'], 8),
  ]);
  const first = await take(acquire, 'linux/arm64', 'emulated');
  const second = take(acquire, 'linux/arm64', 'emulated');
  await first.release();
  expect((await second).builder.name).toBe('arm');
  expect((await second).emulated).toBe(false);
});

test('without leave to emulate, a builder that could only emulate is never taken', async () => {
  const acquire = scheduler([builder('intel', ['linux/amd64'], ['linux/arm64'], 8)]);
  const refused = await acquire(platform('linux/arm64'), 'native', never);
  expect(refused).toMatchObject({ ok: false, failure: { kind: 'placement' } });
  const lease = await take(acquire, 'linux/arm64', 'emulated');
  expect(lease.emulated).toBe(true);
});

test('who waits for one machine does not hold up who waits for another', async () => {
  const acquire = scheduler([builder('arm', ['linux/arm64'], [], 1), builder('intel', ['linux/amd64'], [], 1)]);
  const arm = await take(acquire, 'linux/arm64');
  const intel = await take(acquire, 'linux/amd64');
  const nextArm = take(acquire, 'linux/arm64');
  const nextIntel = take(acquire, 'linux/amd64');
  await intel.release();
  expect((await nextIntel).builder.name).toBe('intel');
  await arm.release();
  await arm.release(); // a second release of the same lease frees nothing more
  expect((await nextArm).builder.name).toBe('arm');
});

test('a retry goes to another builder if there is one', async () => {
  const acquire = scheduler([builder('a', ['linux/amd64'], [], 1), builder('b', ['linux/amd64'], [], 1)]);
  const lease = await acquire(platform('linux/amd64'), 'native', never, { avoid: 'a' });
  expect(lease).toMatchObject({ ok: true, value: { builder: { name: 'b' } } });
});

test('who waits when the run is interrupted gets no slot', async () => {
  const acquire = scheduler([builder('a', ['linux/amd64'], [], 1)]);
  await take(acquire, 'linux/amd64');
  const stop = new AbortController();
  const waiting = acquire(platform('linux/amd64'), 'native', stop.signal);
  stop.abort();
  expect(await waiting).toEqual({ ok: false, failure: { kind: 'cancelled' } });
});
