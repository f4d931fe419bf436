// When to try again and how long to wait before: exponential back-off with jitter, or what Retry-After asks for.
import { setTimeout as delay } from 'node:timers/promises';

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

export const maxAttempts = 5;
/** How often one request is sent again to a host that answers each time that it is asked too often. */
export const maxRefusals = 10;
const baseDelay = 500;
const maxDelay = 20_000;

/** Whether an answer is worth another attempt. A 500 may have done its work, so only reading is repeated after one. */
export function isRetriedStatus(status: number, method: string): boolean {
  if (status === 500) return method === 'GET' || method === 'HEAD';
  return status === 429 || status === 502 || status === 503 || status === 504;
}

/** Ms to wait after the attempt of this number (from 1). */
export function backoff(attempt: number, clock: Clock): number {
  const full = Math.min(baseDelay * 2 ** (attempt - 1), maxDelay);
  return full / 2 + (full / 2) * clock.random();
}

/** Retry-After as seconds or as a date (RFC 9110, 10.2.3), in ms; undefined where it is absent or unreadable. */
export function parseRetryAfter(value: string | undefined, now: number): number | undefined {
  if (value === undefined) return undefined;
  if (/^\s*\d{1,12}\s*$/.test(value)) return Number(value) * 1000;
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}
