// Builders that fall sick and come back, on a clock that jumps.
import { expect, test } from 'vitest';
import { createSimulatedEngine, type SimulatedEngine } from '../engine/simulated.ts';
import { ok } from '../failure.ts';
import type { Platform } from '../image/platform.ts';
import { createSimulatedRegistry } from '../registry/simulated.ts';
import { createVirtualClock, type VirtualClock } from '../virtual-clock.ts';
import { assembleFleet, type Fleet, type Lease } from './fleet.ts';
import { usualHealth } from './health.ts';

const platform: Platform = { os: 'linux', architecture: 'amd64' };
const never = new AbortController().signal;

interface Hosts {
  clock: VirtualClock;
  engines: Record<string, SimulatedEngine>;
  /** Health as it was told: `one lost`, `one back`. */
  told: string[];
  open(): Promise<Fleet>;
}

function hosts(...names: string[]): Hosts {
  const clock = createVirtualClock(0, () => 0.5);
  const registry = createSimulatedRegistry().client();
  const engineOf = (name: string): SimulatedEngine =>
    createSimulatedEngine({
      ...{ name, machine: platform, cpus: 1, clock, registry },
      onBuild: () => ({ durationMs: 1000 }),
      onRun: () => undefined,
    });
  const engines = Object.fromEntries(names.map((name) => [name, engineOf(name)]));
  const told: string[] = [];
  return {
    clock,
    engines,
    told,
    async open() {
      const sources = Object.entries(engines).map(([name, engine]) => ({
        name,
        endpoint: `sim://${name}`,
        open: async (signal: AbortSignal) => {
          const info = await engine.probe(signal);
          if (!info.ok) return info;
          const builder = {
            name,
            endpoint: `sim://${name}`,
            engine,
            info: info.value,
            native: [platform],
            emulated: [],
            slots: 1,
          };
          return ok({ builder: { ...builder, registryAddress: 'r' }, close: async () => undefined });
        },
      }));
      const wanted = [{ platform, mode: 'native' as const }];
      const fleet = await assembleFleet(sources, wanted, { clock, health: usualHealth }, never);
      if (!fleet.ok) throw new Error(JSON.stringify(fleet.failure));
      fleet.value.onHealth((name, failure) => void told.push(`${name} ${failure ? 'lost' : 'back'}`));
      return fleet.value;
    },
  };
}

async function take(fleet: Fleet, wishes = {}): Promise<Lease> {
  const lease = await fleet.acquire(platform, 'native', never, wishes);
  if (!lease.ok) throw new Error(JSON.stringify(lease.failure));
  return lease.value;
}

test('a builder that freezes under a task gives it up in time, gets no other, and comes back when it answers', async () => {
  const { clock, engines, told, open } = hosts('one', 'two');
  await clock.run(
    (async () => {
      const fleet = await open();
      const lease = await take(fleet, { prefer: 'one' });
      engines.one?.become('frozen');
      const begun = clock.now();
      await new Promise((resolve) => lease.lost.addEventListener('abort', resolve));
      // Two probes that are 5 s apart and wait for 10 s each.
      expect(clock.now() - begun).toBeLessThanOrEqual(35_000);
      expect(lease.lost.reason).toMatchObject({
        kind: 'engine',
        transient: true,
        message: expect.stringContaining("'one'"),
      });
      await lease.release(true);
      const other = await take(fleet, { prefer: 'one' });
      expect(other.builder.name).toBe('two');
      engines.one?.become('well');
      const again = await take(fleet);
      expect(again.builder.name).toBe('one');
      expect(told).toEqual(['one lost', 'one back']);
      await fleet.close();
    })(),
  );
});

test('after work that failed in a way that may be its fault, a builder is asked before it gets more', async () => {
  const { clock, engines, told, open } = hosts('one', 'two');
  await clock.run(
    (async () => {
      const fleet = await open();
      const lease = await take(fleet, { prefer: 'one' });
      engines.one?.become('dead');
      await lease.release(true);
      expect(told).toEqual(['one lost']);
      expect((await take(fleet, { prefer: 'one' })).builder.name).toBe('two');
      await fleet.close();
    })(),
  );
});

test('a builder that is down at the beginning is no reason not to begin where another can do its work', async () => {
  const { clock, engines, told, open } = hosts('one', 'two');
  engines.two?.become('dead');
  await clock.run(
    (async () => {
      const fleet = await open();
      expect(fleet.builders.map(({ name }) => name)).toEqual(['one']);
      expect(fleet.sick).toMatchObject([{ name: 'two', failure: { kind: 'engine' } }]);
      const first = await take(fleet);
      const second = take(fleet);
      engines.two?.become('well');
      expect((await second).builder.name).toBe('two');
      expect(told).toEqual(['two back']);
      await first.release();
      await fleet.close();
    })(),
  );
});

test('a task does not wait for ever for builders that stay sick', async () => {
  const { clock, engines, open } = hosts('one');
  await clock.run(
    (async () => {
      const fleet = await open();
      const lease = await take(fleet);
      engines.one?.become('dead');
      await lease.release(true);
      const begun = clock.now();
      const refused = await fleet.acquire(platform, 'native', never);
      expect(refused).toMatchObject({ ok: false, failure: { kind: 'placement', tried: ['one (sim://one)'] } });
      expect(clock.now() - begun).toBeGreaterThanOrEqual(usualHealth.wait);
      expect(clock.now() - begun).toBeLessThan(2 * usualHealth.wait);
      await fleet.close();
    })(),
  );
});

test('while it has work, an engine that can be pinged is not probed; when its work failed, it is', async () => {
  const { clock, engines, open } = hosts('one');
  const asked: string[] = [];
  await clock.run(
    (async () => {
      const fleet = await open();
      const { one } = engines;
      if (!one) throw new Error('no engine');
      const { probe } = one;
      one.probe = (signal) => {
        asked.push('probe');
        return probe(signal);
      };
      one.ping = async () => {
        asked.push('ping');
        return ok(undefined);
      };
      const lease = await take(fleet);
      await clock.sleep(3.5 * usualHealth.interval, never);
      expect(asked).toEqual(['ping', 'ping', 'ping']);
      await lease.release(true);
      expect(asked).toEqual(['ping', 'ping', 'ping', 'probe']);
      await fleet.close();
    })(),
  );
});

test('an engine that answers no ping is lost', async () => {
  const { clock, engines, told, open } = hosts('one');
  await clock.run(
    (async () => {
      const fleet = await open();
      const { one } = engines;
      if (!one) throw new Error('no engine');
      const lease = await take(fleet);
      one.ping = async () => ({ ok: false, failure: { kind: 'engine', transient: true, message: 'silent' } });
      await new Promise((resolve) => lease.lost.addEventListener('abort', resolve));
      expect(told).toEqual(['one lost']);
      await lease.release(true);
      await fleet.close();
    })(),
  );
});
