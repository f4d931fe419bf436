// Time and chance as a parameter, so that the same code runs on the machine's clock and on a simulated one.
import { setTimeout as delay } from 'node:timers/promises';
import { underAny } from './signals.ts';

export interface Clock {
  /** Ms since the epoch. */
  now(): number;
  /** Resolves after `ms`, or at once when the signal is aborted. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
  /** 0 ≤ x < 1. */
  random(): number;
}

export const systemClock: Clock = {
  now: Date.now,
  sleep: async (ms, signal) => {
    await delay(ms, undefined, { signal }).catch(() => undefined);
  },
  random: Math.random,
};

/** What `work` gives, or undefined when it took longer than `ms`; then its signal is aborted. */
export async function within<T>(
  ms: number,
  clock: Clock,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T | undefined> {
  const done = new AbortController();
  const stop = new AbortController();
  const late = underAny([signal, done.signal], (either) => clock.sleep(ms, either)).then(() => undefined);
  try {
    return await Promise.race([underAny([signal, stop.signal], work), late]);
  } finally {
    done.abort();
    stop.abort();
  }
}
