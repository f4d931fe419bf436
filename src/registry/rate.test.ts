// Limits of how often a host is asked: by a clock of the test's own, and on a real server that counts.
import { afterEach, describe, expect, test } from 'vitest';
import { systemClock } from '../clock.ts';
import { mediaTypes } from '../image/oci.ts';
import { createRegistryClient } from './client.ts';
import { anonymous } from './credentials.ts';
import { createGates, type Gates, type Turn, usual, widest } from './rate.ts';
import { imageManifest, instantClock, type ScriptedServer, scriptedServer, value } from './testing.ts';

const signal = new AbortController().signal;
const pull = {
  registry: 'registry.example',
  where: 'registry.example/a:v1',
  method: 'GET',
  path: '/v2/a/manifests/v1',
  streams: false,
};
const minute = 60_000;

/** A clock whose time goes on when the test says so. */
function handClock() {
  let now = 0;
  let sleepers: { at: number; wake: () => void }[] = [];
  const settle = () => new Promise((resolve) => setImmediate(resolve));
  return {
    now: () => now,
    random: () => 0,
    sleep: (ms: number, until: AbortSignal) =>
      new Promise<void>((wake) => {
        until.addEventListener('abort', () => wake(), { once: true });
        sleepers.push({ at: now + ms, wake });
      }),
    to: async (ms: number) => {
      now = ms;
      for (const { at, wake } of sleepers) if (at <= now) wake();
      sleepers = sleepers.filter(({ at }) => at > now);
      await settle();
    },
  };
}

/** Enters, and says in `turns` when it is let through. */
function enter(gates: Gates, turns: Turn[], asked: Partial<typeof pull> = {}, until = signal) {
  const entered = gates.enter('registry.example', { ...pull, ...asked }, until);
  return entered.then((turn) => {
    if (turn.ok) turns.push(turn.value);
    return turn;
  });
}

describe('a host that answers 429', () => {
  test('is left alone by every request until it may be asked again', async () => {
    const clock = handClock();
    const gates = createGates(clock, 5 * minute);
    const [first] = [value(await gates.enter('registry.example', pull, signal))];
    first?.leave({ status: 429, headers: { 'retry-after': '30' } });
    const turns: Turn[] = [];
    const waiting = ['/v2/a/manifests/v1', '/v2/b/blobs/x', '/v2/'].map((path) => enter(gates, turns, { path }));
    await clock.to(29_999);
    expect(turns).toHaveLength(0);
    expect((await gates.enter('other.example', pull, signal)).ok).toBe(true);
    await clock.to(30_000);
    await Promise.all(waiting);
    expect(turns).toHaveLength(3);
  });

  test('or 503 with a time to come back at, is left alone until then by streams too', async () => {
    const clock = instantClock();
    const gates = createGates(clock, 5 * minute);
    const answer = { status: 503, headers: { 'retry-after': 'Wed, 25 Nov 2026 02:00:40 GMT' } };
    value(await gates.enter('registry.example', pull, signal)).leave(answer);
    value(await gates.enter('registry.example', { ...pull, streams: true }, signal));
    expect(clock.slept).toEqual([40_000]);
  });

  test('is asked by fewer at a time, and by more again as it answers', async () => {
    const clock = handClock();
    const gates = createGates(clock, 5 * minute);
    const refused = await Promise.all(
      [1, 2, 3].map(async () => value(await gates.enter('registry.example', pull, signal))),
    );
    // Of one burst, however many are refused, it is one refusal.
    for (const turn of refused) turn.leave({ status: 429, headers: { 'retry-after': '1' } });
    await clock.to(1000);
    const turns: Turn[] = [];
    const all = Array.from({ length: 40 }, () => enter(gates, turns));
    await clock.to(1001);
    expect(turns).toHaveLength(usual / 2);
    for (let done = 0; done < 40; done += 1) {
      turns[done]?.leave({ status: 200, headers: {} });
      await clock.to(1002);
      expect(turns.length - done - 1).toBeLessThanOrEqual(usual);
    }
    await Promise.all(all);
    const more: Turn[] = [];
    for (let nth = 0; nth < 20; nth += 1) void enter(gates, more);
    await clock.to(1003);
    expect(more).toHaveLength(usual);
    for (let done = 0; done < 20; done += 1) {
      more[done]?.leave();
      await clock.to(1004);
    }
  });

  test('is asked by fewer than one that answers all, and stays so', async () => {
    const clock = handClock();
    const gates = createGates(clock, 5 * minute);
    const most = async (requests: number): Promise<number> => {
      const turns: Turn[] = [];
      const all = Array.from({ length: requests }, () => enter(gates, turns));
      await clock.to(clock.now() + 1);
      let under = 0;
      for (let done = 0; done < requests; done += 1) {
        under = Math.max(under, turns.length - done);
        turns[done]?.leave({ status: 200, headers: {} });
        await clock.to(clock.now() + 1);
      }
      await Promise.all(all);
      return under;
    };
    expect(await most(200)).toBe(widest);
    value(await gates.enter('registry.example', pull, signal)).leave({ status: 429, headers: { 'retry-after': '0' } });
    expect(await most(200)).toBe(usual);
  });

  test('without a Retry-After is asked after waits that grow', async () => {
    const clock = instantClock();
    const gates = createGates(clock, 5 * minute);
    for (let nth = 0; nth < 4; nth += 1) {
      value(await gates.enter('registry.example', pull, signal)).leave({ status: 429, headers: {} });
    }
    expect(clock.slept).toEqual([250, 500, 1000]);
  });

  test('for longer than is waited fails at once, and says when it may be asked again', async () => {
    const clock = instantClock();
    const gates = createGates(clock, 5 * minute);
    value(await gates.enter('registry.example', pull, signal)).leave({
      status: 429,
      headers: { 'retry-after': '259200' },
    });
    expect(await gates.enter('registry.example', pull, signal)).toEqual({
      ok: false,
      failure: {
        kind: 'registry',
        transient: false,
        status: 429,
        message: 'registry.example was asked too often (429), and may be asked again in 3 days',
        where: 'registry.example/a:v1',
        help: expect.stringContaining("'docker login registry.example'"),
      },
    });
    expect(clock.slept).toEqual([]);
  });

  test('doesn’t hold up one who gives up waiting, nor those behind', async () => {
    const clock = handClock();
    const gates = createGates(clock, 5 * minute);
    const turns: Turn[] = [];
    const held = await Promise.all(Array.from({ length: usual }, () => gates.enter('registry.example', pull, signal)));
    const leaver = new AbortController();
    const left = enter(gates, turns, {}, leaver.signal);
    const stays = enter(gates, turns);
    leaver.abort();
    expect(await left).toEqual({ ok: false, failure: { kind: 'cancelled' } });
    const [one] = held;
    if (one?.ok) one.value.leave({ status: 200, headers: {} });
    expect((await stays).ok).toBe(true);
  });

  test('lets a stream go that others may be waiting for', async () => {
    const gates = createGates(instantClock(), 5 * minute);
    for (let nth = 0; nth < usual; nth += 1) value(await gates.enter('registry.example', pull, signal));
    expect((await gates.enter('registry.example', { ...pull, streams: true }, signal)).ok).toBe(true);
  });
});

describe('a budget that the host tells of', () => {
  // As Docker Hub's documentation shows them.
  const hub = (remaining: number) => ({
    'ratelimit-limit': '100;w=21600',
    'ratelimit-remaining': `${remaining};w=21600`,
  });

  test('is not overdrawn by requests that go at the same time', async () => {
    const clock = handClock();
    const gates = createGates(clock, 5 * minute);
    value(await gates.enter('registry.example', pull, signal)).leave({ status: 200, headers: hub(2) });
    const turns: Turn[] = [];
    for (let nth = 0; nth < 3; nth += 1) void enter(gates, turns);
    await clock.to(1);
    expect(turns).toHaveLength(2);
    // 21,600 s for 100: the third goes after 216 s.
    await clock.to(215_999);
    expect(turns).toHaveLength(2);
    await clock.to(216_001);
    expect(turns).toHaveLength(3);
  });

  test('that is spent makes wait, and fails where it would be too long', async () => {
    const clock = instantClock();
    const gates = createGates(clock, 5 * minute);
    value(await gates.enter('registry.example', pull, signal)).leave({ status: 200, headers: hub(0) });
    value(await gates.enter('registry.example', pull, signal)).leave({ status: 200, headers: hub(0) });
    expect(clock.slept).toEqual([216_000]);
    const tight = createGates(clock, minute);
    value(await tight.enter('registry.example', pull, signal)).leave({ status: 200, headers: hub(0) });
    expect(await tight.enter('registry.example', pull, signal)).toMatchObject({
      ok: false,
      failure: {
        kind: 'registry',
        transient: false,
        message: 'registry.example has no request left for this machine of 100 in 6 h, and may be asked again in 4 min',
        help: expect.stringContaining('mirror'),
      },
    });
  });

  test.each([
    { name: 'seconds', reset: '90' },
    { name: 'a point in time, as GitLab has it', reset: String(Date.parse('2026-11-25T02:01:30Z') / 1000) },
  ])('that is filled again at a time is waited for: $name', async ({ reset }) => {
    const clock = instantClock();
    const gates = createGates(clock, 5 * minute);
    const headers = { 'ratelimit-limit': '60', 'ratelimit-remaining': '0', 'ratelimit-reset': reset };
    value(await gates.enter('registry.example', pull, signal)).leave({ status: 200, headers });
    value(await gates.enter('registry.example', pull, signal));
    expect(clock.slept).toEqual([90_000]);
  });

  test('of manifests is not that of blobs, and HEAD, which costs nothing, tells of it', async () => {
    const clock = instantClock();
    const gates = createGates(clock, 5 * minute);
    const head = { ...pull, method: 'HEAD' };
    value(await gates.enter('registry.example', head, signal)).leave({ status: 200, headers: hub(0) });
    value(await gates.enter('registry.example', head, signal)).leave({ status: 200, headers: hub(0) });
    value(await gates.enter('registry.example', { ...pull, path: '/v2/a/blobs/sha256:0' }, signal));
    expect(clock.slept).toEqual([]);
    value(await gates.enter('registry.example', pull, signal));
    expect(clock.slept).toEqual([216_000]);
  });
});

describe('on a real server', () => {
  let server: ScriptedServer;
  afterEach(() => server.close());

  test('that lets ten a second through, forty at the same time all arrive, and few are refused', async () => {
    const manifest = imageManifest(Buffer.from('{}'), []);
    let refused = 0;
    let since = Date.now();
    let count = 0;
    server = await scriptedServer((_, response) => {
      if (Date.now() - since >= 1000) {
        since = Date.now();
        count = 0;
      }
      count += 1;
      if (count > 10) {
        refused += 1;
        response.writeHead(429, { 'retry-after': '1' }).end();
      } else response.writeHead(200, { 'content-type': mediaTypes.ociManifest }).end(manifest);
    });
    const client = createRegistryClient({ plainHttp: () => true, credentials: anonymous, ...systemClock });
    const all = await Promise.all(
      Array.from({ length: 40 }, (_, nth) =>
        client.getManifest({ registry: server.host, repository: 'a', tag: `v${nth}` }, signal),
      ),
    );
    expect(all.filter((one) => !one.ok)).toEqual([]);
    // Each on its own, forty would have been sent at once, and thirty refused in the first second alone.
    expect(refused).toBeLessThan(25);
  }, 30_000);

  test('a budget that fills drop by drop is not run into', async () => {
    const manifest = imageManifest(Buffer.from('{}'), []);
    let refused = 0;
    let left = 5;
    let filled = Date.now();
    server = await scriptedServer((_, response) => {
      // A bucket that one drops into every 200 ms.
      const drops = Math.floor((Date.now() - filled) / 200);
      filled += drops * 200;
      left = Math.min(5, left + drops) - 1;
      const headers = {
        'content-type': mediaTypes.ociManifest,
        'ratelimit-limit': '5;w=1',
        'ratelimit-remaining': `${Math.max(0, left)};w=1`,
      };
      if (left < 0) refused += 1;
      response.writeHead(left < 0 ? 429 : 200, headers).end(left < 0 ? '' : manifest);
    });
    const client = createRegistryClient({ plainHttp: () => true, credentials: anonymous, ...systemClock });
    for (let nth = 0; nth < 12; nth += 1) {
      value(await client.getManifest({ registry: server.host, repository: 'a', tag: `v${nth}` }, signal));
    }
    expect(refused).toBe(0);
  }, 30_000);
});
