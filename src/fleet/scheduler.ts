// Which builder takes which task, and when. A task whose build is done offers its slot to others while it pushes. A free slot never stands
// idle while a task waits that it could take: it goes to the task with the longest chain of work behind it, on the builder that is expected
// to be done with it first. That is list scheduling, which on m equal slots takes at most 2 - 1/m times as long as any schedule could
// (Graham 1966, 1969), and far less with this order. As a run has finitely many tasks and tries each finitely often, none waits forever
// behind more urgent ones.
import type { Clock } from '../clock.ts';
import { type Failure, fail, ok, type Result } from '../failure.ts';
import { formatPlatform, type Platform } from '../image/platform.ts';
import { candidates } from '../plan/candidates.ts';
import type { Next } from '../plan/handover.ts';
import type { Builder, Lease, Mode, Wishes } from './fleet.ts';
import { type HealthOptions, type Member, type SlotOffer, type Watch, watchHealth } from './health.ts';
import { allSick, noBuilder, openOf } from './placement.ts';
import { createWaiting, type Waiter } from './waiting.ts';

export interface Scheduler {
  acquire(platform: Platform, mode: Mode, signal: AbortSignal, wishes?: Wishes): Promise<Result<Lease>>;
  close(): Promise<void>;
}

export interface SchedulerOptions {
  health: HealthOptions;
  clock: Clock;
  /**
   * Ms between a slot's falling free and its going to one of those who wait: in it, what is built on the task that just ended
   * reads its inputs and comes to wait as well, with its priority and its layers on that builder.
   */
  settle: number;
  /** A builder fell sick (with why), or is well again. */
  onHealth(builder: string, lost: Failure | undefined): void;
}

type Kind = Pick<Waiter, 'platform' | 'mode' | 'kind'>;

/** How a builder could take a task. */
interface Spot {
  member: Member;
  builder: Builder;
  emulated: boolean;
}

/**
 * What it is worth, ms, to have the upstream's layers there already. How large they are is not known: a small part of the task's
 * own time, and never more than this, so that it decides between builders and tasks that are much the same, and nothing else.
 */
const mostForLayers = 10_000;
const partForLayers = 0.2;

/** Members that are not open at the beginning count as sick. */
export function createScheduler(members: Member[], { health, clock, settle, onHealth }: SchedulerOptions): Scheduler {
  const waiting = createWaiting();
  /** By kind, while nobody's health changes. */
  const spots = new Map<string, Spot[]>();
  // One listener a signal, however many wait: to take one of thousands off a signal is to walk past them all.
  const bySignal = new WeakMap<AbortSignal, Set<Waiter>>();
  /** Those whom no builder that is well could take. */
  const hopeless = new Map<Waiter, AbortController>();
  const closed = new AbortController();
  let serving: Promise<void> | undefined;
  const watch: Watch = watchHealth(health, clock, (member, lost) => {
    spots.clear();
    onHealth(member.name, lost);
    for (const waiter of waiting.all()) watchHope(waiter);
    serveAfter(0);
  });
  for (const member of members) if (!member.opened) watch.heal(member);

  /** On builders that are well. */
  function spotsFor({ platform, mode, kind }: Kind): Spot[] {
    const known = spots.get(kind);
    if (known) return known;
    const byName = new Map(members.map((member) => [member.name, member]));
    const found = candidates(openOf(members), platform, mode).flatMap((one) => {
      const member = byName.get(one.builder.name);
      return member ? [{ ...one, member }] : [];
    });
    spots.set(kind, found);
    return found;
  }

  /** All that may have the waiter. */
  function placesOf(waiter: Waiter): Spot[] {
    const { avoid } = waiter.wishes;
    const able = spotsFor(waiter);
    if (avoid === undefined) return able;
    const others = able.filter(({ builder }) => builder.name !== avoid);
    return others.length > 0 ? others : able;
  }

  function hasSlot({ member, builder, emulated }: Spot, { wishes }: Waiter): boolean {
    return member.taken < builder.slots || offerTo(member, asNext(wishes, builder, emulated)) !== undefined;
  }

  /** Waiters to whom a free slot has their layers go before those who are but a little more urgent. */
  function bonusOf(waiter: Waiter): number | undefined {
    const { prefer } = waiter.wishes;
    const all = placesOf(waiter);
    let anyFree = false;
    for (const spot of all) {
      const preferred = spot.builder.name === prefer;
      if ((anyFree && !preferred) || !hasSlot(spot, waiter)) continue;
      if (preferred) return all.length > 1 ? worthOfLayers(waiter, spot) : 0;
      anyFree = true;
    }
    return anyFree ? 0 : undefined;
  }

  function choose(waiter: Waiter): Spot | undefined {
    const { prefer, expected } = waiter.wishes;
    const load = ({ member, builder }: Spot): number => member.taken / builder.slots;
    const costs = (spot: Spot): number =>
      (expected?.(spot.builder.name, spot.emulated) ?? 0) +
      (prefer === undefined || spot.builder.name === prefer ? 0 : worthOfLayers(waiter, spot));
    const preference = (spot: Spot): number => Number(spot.builder.name !== prefer);
    let best: { spot: Spot; cost: number } | undefined;
    for (const spot of placesOf(waiter)) {
      if (!hasSlot(spot, waiter)) continue;
      const cost = costs(spot);
      const order =
        best && (cost - best.cost || preference(spot) - preference(best.spot) || load(spot) - load(best.spot));
      if (order === undefined || order < 0) best = { spot, cost };
    }
    return best?.spot;
  }

  function lend({ member, builder, emulated }: Spot, { wishes }: Waiter): Lease {
    if (member.taken >= builder.slots) offerTo(member, asNext(wishes, builder, emulated))?.take();
    member.running += 1;
    member.taken += 1;
    watch.watch(member);
    const lost = new AbortController();
    const onLost = (failure: Failure): void => lost.abort(failure);
    member.onLost.add(onLost);
    let held = true;
    let inSlot = true;
    const leaveSlot = (): void => {
      if (inSlot) member.taken -= 1;
      inSlot = false;
    };
    let offer: SlotOffer | undefined;
    return {
      builder,
      emulated,
      lost: lost.signal,
      offerSlot(to) {
        if (!held || offer) return;
        const made: SlotOffer = {
          to,
          take() {
            member.offers.delete(made);
            leaveSlot();
          },
        };
        offer = made;
        member.offers.add(made);
        if (waiting.size > 0) serveAfter(settle);
      },
      async release(suspect = false) {
        if (!held) return;
        held = false;
        member.onLost.delete(onLost);
        if (suspect && !lost.signal.aborted) await watch.suspect(member);
        member.running -= 1;
        if (offer) member.offers.delete(offer);
        leaveSlot();
        if (waiting.size > 0) serveAfter(settle);
      },
    };
  }

  /** Not at once even where it is after no time: who comes at the same moment is served by urgency as well. */
  function serveAfter(ms: number): void {
    serving ??= clock.sleep(ms, closed.signal).then(() => {
      serving = undefined;
      if (!closed.signal.aborted) serve();
    });
  }

  function serve(): void {
    for (;;) {
      const waiter = waiting.next(bonusOf);
      const spot = waiter && choose(waiter);
      if (!waiter || !spot) return;
      waiter.end(ok(lend(spot, waiter)));
    }
  }

  /** Whether some builder that is well could take it, if it had a free slot. */
  const hasHope = (kind: Kind): boolean => spotsFor(kind).length > 0;
  const sick = (): Member[] => members.filter(({ opened }) => !opened);

  async function acquire(
    platform: Platform,
    mode: Mode,
    signal: AbortSignal,
    wishes: Wishes = {},
  ): Promise<Result<Lease>> {
    if (signal.aborted) return fail({ kind: 'cancelled' });
    const kind: Kind = { platform, mode, kind: `${formatPlatform(platform)} ${mode}` };
    if (!hasHope(kind) && sick().length === 0) return fail(noBuilder(openOf(members), platform, mode));
    return new Promise((resolve) => {
      const waiter: Waiter = {
        ...kind,
        wishes,
        end(result) {
          waiting.remove(waiter);
          onSignal(signal).delete(waiter);
          hopeless.get(waiter)?.abort();
          hopeless.delete(waiter);
          resolve(result);
        },
      };
      waiting.add(waiter);
      onSignal(signal).add(waiter);
      watchHope(waiter);
      if (serving === undefined && placesOf(waiter).some((spot) => hasSlot(spot, waiter))) serveAfter(0);
    });
  }

  /** Those who give up when it is aborted. */
  function onSignal(signal: AbortSignal): Set<Waiter> {
    const known = bySignal.get(signal);
    if (known) return known;
    const waiters = new Set<Waiter>();
    bySignal.set(signal, waiters);
    const cancel = (): void => [...waiters].forEach(({ end }) => void end(fail({ kind: 'cancelled' })));
    signal.addEventListener('abort', cancel, { once: true });
    return waiters;
  }

  /** A waiter ends when no builder that could take it has been well for long enough. */
  function watchHope(waiter: Waiter): void {
    const since = hopeless.get(waiter);
    if (hasHope(waiter)) {
      since?.abort();
      hopeless.delete(waiter);
    } else if (!since) {
      const helped = new AbortController();
      hopeless.set(waiter, helped);
      const { signal } = helped;
      void clock.sleep(health.wait, signal).then(() => {
        if (!signal.aborted) waiter.end(fail(allSick(sick(), waiter.platform, health.wait)));
      });
    }
  }

  return {
    acquire,
    async close() {
      closed.abort();
      for (const helped of hopeless.values()) helped.abort();
      await Promise.all([watch.close(), serving]);
    },
  };
}

/**
 * The offer of a slot that one may have. Where as many as the builder has slots push already, there is none: what is built faster than it
 * is pushed waits.
 */
function offerTo({ offers, running, taken, opened }: Member, next: Next): SlotOffer | undefined {
  if (running - taken >= (opened?.builder.slots ?? 0)) return undefined;
  for (const offer of offers) if (offer.to(next)) return offer;
  return undefined;
}

function asNext({ priority = 0, expected }: Wishes, { name }: Builder, emulated: boolean): Next {
  return { priority, expected: expected?.(name, emulated) ?? 0 };
}

function worthOfLayers({ wishes: { expected } }: Waiter, { builder, emulated }: Spot): number {
  const takes = expected?.(builder.name, emulated) ?? 0;
  return Math.min(mostForLayers, partForLayers * takes);
}
