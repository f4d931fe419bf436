// A clock that stands still until nothing else is to be done, and then jumps to the next sleeper: hours of a run in milliseconds.
import type { Clock } from './clock.ts';

interface Sleeper {
  at: number;
  order: number;
  wake(): void;
}

export interface VirtualClock extends Clock {
  /** Runs `work` to its end, jumping from sleeper to sleeper. Throws where all wait and none sleeps: then it would never end. */
  run<T>(work: Promise<T>): Promise<T>;
  /** Forgets everybody who sleeps, as the death of a process does. */
  forget(): void;
}

/** `random` is the chance that sleepers and others ask for. */
export function createVirtualClock(start: number, random: () => number): VirtualClock {
  let now = start;
  let order = 0;
  let sleepers: Sleeper[] = [];

  function next(): Sleeper | undefined {
    let first: Sleeper | undefined;
    for (const sleeper of sleepers) {
      if (!first || sleeper.at < first.at || (sleeper.at === first.at && sleeper.order < first.order)) first = sleeper;
    }
    return first;
  }

  return {
    now: () => now,
    random,
    sleep: (ms, signal) =>
      new Promise((resolve) => {
        if (signal.aborted) return resolve();
        order += 1;
        const sleeper: Sleeper = {
          at: now + Math.max(0, ms),
          order,
          wake() {
            sleepers = sleepers.filter((one) => one !== sleeper);
            signal.removeEventListener('abort', sleeper.wake);
            resolve();
          },
        };
        sleepers.push(sleeper);
        signal.addEventListener('abort', sleeper.wake, { once: true });
      }),
    async run(work) {
      let ended = false;
      const end = (): void => {
        ended = true;
      };
      work.then(end, end);
      for (;;) {
        // All that can go on without time passing goes on first.
        await new Promise(setImmediate);
        if (ended) return work;
        const sleeper = next();
        if (!sleeper) {
          await new Promise(setImmediate);
          if (ended) return work;
          throw new Error('everything waits for something that nobody will bring about');
        }
        now = Math.max(now, sleeper.at);
        sleeper.wake();
      }
    },
    forget() {
      sleepers = [];
    },
  };
}
