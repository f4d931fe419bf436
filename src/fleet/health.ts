// Whether a builder is well: asked while it has work, and while it is sick until it answers again.
import { type Clock, within } from '../clock.ts';
import { type Failure, fail, type Result } from '../failure.ts';
import type { Next } from '../plan/handover.ts';
import type { Builder } from './fleet.ts';
import type { OpenBuilder } from './open-builder.ts';

export interface HealthOptions {
  /** Between two probes of a builder that has work, ms. */
  interval: number;
  /** How long one probe may take, ms. */
  patience: number;
  /** As many in a row make a builder sick. */
  misses: number;
  /** How long a task waits for a builder when all that could take it are sick, ms. */
  wait: number;
}

export const usualHealth: HealthOptions = { interval: 5_000, patience: 10_000, misses: 2, wait: 120_000 };

/** How a builder is opened; a sick one is opened anew, as its connection died with it. */
export type Open = (signal: AbortSignal) => Promise<Result<OpenBuilder>>;

/** The slot of a task that needs it no more, though it is not done. */
export interface SlotOffer {
  /** Who may have it before the task is done. */
  to(next: Next): boolean;
  take(): void;
}

/** A builder of the fleet through its ups and downs. */
export interface Member {
  name: string;
  endpoint: string;
  open: Open;
  /** Undefined while it is sick. */
  opened: OpenBuilder | undefined;
  /** Tasks that it has. */
  running: number;
  /** Of its slots, taken by them: a task that only pushes any more may have given its own away. */
  taken: number;
  offers: Set<SlotOffer>;
  /** Called for each task that it has when it is found sick. */
  onLost: Set<(failure: Failure) => void>;
}

/** One that has no task yet. */
export function newMember(source: Pick<Member, 'name' | 'endpoint' | 'open'>, opened: OpenBuilder | undefined): Member {
  return { ...source, opened, running: 0, taken: 0, offers: new Set(), onLost: new Set() };
}

export interface Watch {
  /** Probes a builder whose work has just failed, before it gets more. */
  suspect(member: Member): Promise<void>;
  /** Begins to probe a builder that has got work. */
  watch(member: Member): void;
  /** Takes a builder that could not be opened as sick. */
  heal(member: Member): void;
  close(): Promise<void>;
}

export function watchHealth(
  options: HealthOptions,
  clock: Clock,
  changed: (member: Member, lost: Failure | undefined) => void,
): Watch {
  const closed = new AbortController();
  const { signal } = closed;
  const watched = new Set<Member>();
  const loops = new Set<Promise<void>>();
  const keep = (loop: Promise<void>): void => {
    loops.add(loop);
    void loop.finally(() => loops.delete(loop));
  };

  async function probe(member: Member, { engine }: Builder, how: 'ping' | 'probe'): Promise<Failure | undefined> {
    const ask = (how === 'ping' && engine.ping) || engine.probe;
    const answer = await within(options.patience, clock, signal, (probing): Promise<Result<unknown>> => ask(probing));
    if (answer?.ok) return undefined;
    return answer && answer.failure.kind !== 'cancelled' ? answer.failure : silent(member, options.patience);
  }

  function lose(member: Member, failure: Failure): void {
    const { opened } = member;
    if (!opened || signal.aborted) return;
    member.opened = undefined;
    changed(member, failure);
    for (const lost of [...member.onLost]) lost(failure);
    keep(reopen(member, opened));
  }

  /** Tries again and again, at growing distances, once the tasks that it had are gone. */
  async function reopen(member: Member, old: OpenBuilder | undefined): Promise<void> {
    await old?.close();
    for (let delay = 1000; !signal.aborted; delay = Math.min(delay * 2, 30_000)) {
      await clock.sleep(delay, signal);
      if (signal.aborted || member.running > 0) continue;
      const again = await within(3 * options.patience, clock, signal, member.open);
      if (!again?.ok) continue;
      if (signal.aborted) {
        await again.value.close();
        return;
      }
      member.opened = again.value;
      changed(member, undefined);
      return;
    }
  }

  async function watchLoop(member: Member): Promise<void> {
    let misses = 0;
    while (!signal.aborted && member.running > 0 && member.opened) {
      await clock.sleep(options.interval, signal);
      const { opened } = member;
      if (signal.aborted || member.running === 0 || !opened) break;
      const failure = await probe(member, opened.builder, 'ping');
      if (signal.aborted) break;
      misses = failure ? misses + 1 : 0;
      if (failure && misses >= options.misses) lose(member, failure);
    }
    watched.delete(member);
  }

  return {
    async suspect(member) {
      const { opened } = member;
      if (!opened || signal.aborted) return;
      const failure = await probe(member, opened.builder, 'probe');
      if (failure && member.opened === opened) lose(member, failure);
    },
    watch(member) {
      if (watched.has(member)) return;
      watched.add(member);
      keep(watchLoop(member));
    },
    heal: (member) => keep(reopen(member, undefined)),
    async close() {
      closed.abort();
      await Promise.all(loops);
    },
  };
}

function silent({ name, endpoint }: Member, ms: number): Failure {
  return {
    kind: 'engine',
    transient: true,
    message: `builder '${name}' does not answer within ${ms / 1000} s`,
    where: endpoint,
    help: 'look at the machine, its network and its engine’s log',
  };
}

/** The builder was lost under a task: another may have it. */
export function lostBuilder(name: string, failure: Failure): Result<never> {
  const why = 'message' in failure ? failure.message : failure.kind;
  return fail({
    kind: 'engine',
    transient: true,
    message: `builder '${name}' was lost: ${why}`,
    ...('where' in failure && failure.where ? { where: failure.where } : {}),
    help: 'look at the machine, its network and its engine’s log',
  });
}
