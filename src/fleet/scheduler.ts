// Which builder takes which task, and when: the least loaded of those that are native for the platform and well.
import type { Clock } from '../clock.ts';
import { type Failure, fail, ok, type Result } from '../failure.ts';
import { formatPlatform, type Platform, samePlatform } from '../image/platform.ts';
import type { Builder, Lease, Mode, Wishes } from './fleet.ts';
import { type HealthOptions, type Member, type Watch, watchHealth } from './health.ts';

interface Waiter {
  platform: Platform;
  mode: Mode;
  wishes: Wishes;
  take(lease: Lease): void;
}

export interface Scheduler {
  acquire(platform: Platform, mode: Mode, signal: AbortSignal, wishes?: Wishes): Promise<Result<Lease>>;
  close(): Promise<void>;
}

export interface SchedulerOptions {
  health: HealthOptions;
  clock: Clock;
  /** A builder fell sick (with why), or is well again. */
  onHealth(builder: string, lost: Failure | undefined): void;
}

/** Members that are not open at the beginning count as sick. */
export function createScheduler(members: Member[], { health, clock, onHealth }: SchedulerOptions): Scheduler {
  const waiting: Waiter[] = [];
  const watch: Watch = watchHealth(health, clock, (member, lost) => {
    onHealth(member.name, lost);
    serveWaiting();
  });
  for (const member of members) if (!member.opened) watch.heal(member);

  function tryTake({ platform, mode, wishes }: Omit<Waiter, 'take'>): Lease | undefined {
    const all = candidates(openOf(members), platform, mode);
    const others = all.filter(({ builder }) => builder.name !== wishes.avoid);
    const load = (member: Member, builder: Builder): number => member.running / builder.slots;
    const [best] = (others.length > 0 ? others : all)
      .flatMap((found) => {
        const member = members.find(({ name }) => name === found.builder.name);
        return member && member.running < found.builder.slots ? [{ ...found, member }] : [];
      })
      .sort(
        (a, b) =>
          Number(b.builder.name === wishes.prefer) - Number(a.builder.name === wishes.prefer) ||
          load(a.member, a.builder) - load(b.member, b.builder),
      );
    return best && lend(best);
  }

  function lend({ member, builder, emulated }: { member: Member; builder: Builder; emulated: boolean }): Lease {
    member.running += 1;
    watch.watch(member);
    const lost = new AbortController();
    const onLost = (failure: Failure): void => lost.abort(failure);
    member.onLost.add(onLost);
    let held = true;
    return {
      builder,
      emulated,
      lost: lost.signal,
      async release(suspect = false) {
        if (!held) return;
        held = false;
        member.onLost.delete(onLost);
        if (suspect && !lost.signal.aborted) await watch.suspect(member);
        member.running -= 1;
        serveWaiting();
      },
    };
  }

  /** First come, first served, but nobody waits behind one who needs another machine. */
  function serveWaiting(): void {
    for (const waiter of [...waiting]) {
      const lease = tryTake(waiter);
      if (!lease) continue;
      waiting.splice(waiting.indexOf(waiter), 1);
      waiter.take(lease);
    }
  }

  /** Whether some builder that is well could take it, if it had a free slot. */
  const hasHope = (platform: Platform, mode: Mode): boolean => candidates(openOf(members), platform, mode).length > 0;
  const sick = (): Member[] => members.filter(({ opened }) => !opened);

  async function acquire(
    platform: Platform,
    mode: Mode,
    signal: AbortSignal,
    wishes: Wishes = {},
  ): Promise<Result<Lease>> {
    if (signal.aborted) return fail({ kind: 'cancelled' });
    const lease = tryTake({ platform, mode, wishes });
    if (lease) return ok(lease);
    if (!hasHope(platform, mode) && sick().length === 0) return fail(noBuilder(openOf(members), platform, mode));
    const given = new AbortController();
    const taken = new Promise<Result<Lease>>((resolve) => {
      const stop = (failure: Failure): void => {
        const at = waiting.indexOf(waiter);
        if (at < 0) return;
        waiting.splice(at, 1);
        given.abort();
        resolve(fail(failure));
      };
      const cancel = (): void => stop({ kind: 'cancelled' });
      const waiter: Waiter = {
        platform,
        mode,
        wishes,
        take(one) {
          signal.removeEventListener('abort', cancel);
          given.abort();
          resolve(ok(one));
        },
      };
      waiting.push(waiter);
      signal.addEventListener('abort', cancel, { once: true });
      void giveUp(platform, mode, given.signal).then((failure) => failure && stop(failure));
    });
    return taken;
  }

  /** The failure with which a waiting task ends when no builder that could take it has been well for long enough. */
  async function giveUp(platform: Platform, mode: Mode, given: AbortSignal): Promise<Failure | undefined> {
    let without = 0;
    const step = Math.max(250, health.wait / 20);
    while (!given.aborted) {
      await clock.sleep(step, given);
      without = hasHope(platform, mode) ? 0 : without + step;
      if (without >= health.wait) return allSick(sick(), platform, health.wait);
    }
    return undefined;
  }

  return { acquire, close: watch.close };
}

function openOf(members: Member[]): Builder[] {
  return members.flatMap(({ opened }) => opened?.builder ?? []);
}

/** A native builder if there is any, however busy: emulation is 10 to 50 times slower. */
export function candidates(
  builders: Builder[],
  platform: Platform,
  mode: Mode,
): { builder: Builder; emulated: boolean }[] {
  const has = (platforms: Platform[]): boolean => platforms.some((one) => samePlatform(one, platform));
  const native = builders.filter((builder) => has(builder.native));
  if (native.length > 0) return native.map((builder) => ({ builder, emulated: false }));
  if (mode === 'native') return [];
  return builders.filter((builder) => has(builder.emulated)).map((builder) => ({ builder, emulated: true }));
}

export function noBuilder(builders: Builder[], platform: Platform, mode: Mode): Failure {
  const name = formatPlatform(platform);
  return {
    kind: 'placement',
    message:
      mode === 'native' ? `no builder is native for ${name}` : `no builder can run ${name}, natively or emulated`,
    tried: builders.map(
      ({ name, endpoint, info }) => `${name} (${endpoint}): ${info.engine} on ${formatPlatform(info.machine)}`,
    ),
    help:
      mode === 'native'
        ? `add a ${name} machine under 'builders', or allow emulation with 'mode: emulated' (slow)`
        : `add a ${name} machine under 'builders', or set up emulation on one (Debian: apt install qemu-user-static binfmt-support)`,
  };
}

function allSick(sick: Member[], platform: Platform, ms: number): Failure {
  return {
    kind: 'placement',
    message: `no builder that could take ${formatPlatform(platform)} has answered for ${ms / 1000} s`,
    tried: sick.map(({ name, endpoint }) => `${name} (${endpoint})`),
    help: 'look at these machines, then run again: what is done is not repeated',
  };
}
