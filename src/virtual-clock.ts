// A clock that stands still until nothing else is to be done, and then jumps to the next sleeper: hours of a run in milliseconds.
import type { Clock } from './clock.ts';
import { createHeap } from './heap.ts';

interface Sleeper {
  at: number;
  order: number;
  /** Of those who sleep on the same signal. */
  fellows: Set<Sleeper>;
  wake(): void;
}

export interface VirtualClock extends Clock {
  /** Runs `work` to its end, jumping from sleeper to sleeper. Throws where all wait and none sleeps: then it would never end. */
  run<T>(work: Promise<T>): Promise<T>;
  /** Forgets everybody who sleeps, as the death of a process does. */
  forget(): void;
}

/**
 * `random` is the chance that sleepers and others ask for. `afterAll` calls back when all else has gone on that can: by itself, also what
 * reads files and asks servers. `process.nextTick` is after promises alone; for work of nothing else it takes a fraction of the time.
 */
export function createVirtualClock(
  start: number,
  random: () => number,
  afterAll: (go: (done: undefined) => void) => unknown = setImmediate,
): VirtualClock {
  let now = start;
  let order = 0;
  // Those who were woken early stay in it until it is their turn.
  const sleepers = createHeap<Sleeper>((a, b) => a.at < b.at || (a.at === b.at && a.order < b.order));
  // One listener a signal: to take one of thousands off a signal is to walk past them all.
  const bySignal = new WeakMap<AbortSignal, Set<Sleeper>>();

  function fellowsOn(signal: AbortSignal): Set<Sleeper> {
    const known = bySignal.get(signal);
    if (known) return known;
    const fellows = new Set<Sleeper>();
    bySignal.set(signal, fellows);
    signal.addEventListener('abort', () => [...fellows].forEach((sleeper) => void sleeper.wake()), { once: true });
    return fellows;
  }

  function next(): Sleeper | undefined {
    for (;;) {
      const sleeper = sleepers.pop();
      if (!sleeper || sleeper.fellows.has(sleeper)) return sleeper;
    }
  }

  return {
    now: () => now,
    random,
    sleep: (ms, signal) =>
      new Promise((resolve) => {
        if (signal.aborted) return resolve();
        order += 1;
        const fellows = fellowsOn(signal);
        const sleeper: Sleeper = {
          at: now + Math.max(0, ms),
          order,
          fellows,
          wake() {
            fellows.delete(sleeper);
            resolve();
          },
        };
        fellows.add(sleeper);
        sleepers.push(sleeper);
      }),
    async run(work) {
      let ended = false;
      const end = (): void => {
        ended = true;
      };
      work.then(end, end);
      for (;;) {
        // All that can go on without time passing goes on first.
        await new Promise(afterAll);
        if (ended) return work;
        const sleeper = next();
        if (!sleeper) {
          await new Promise(afterAll);
          if (ended) return work;
          throw new Error('everything waits for something that nobody will bring about');
        }
        now = Math.max(now, sleeper.at);
        sleeper.wake();
      }
    },
    forget() {
      for (let sleeper = next(); sleeper; sleeper = next()) sleeper.fellows.delete(sleeper);
    },
  };
}
