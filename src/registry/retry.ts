// When to try again and how long to wait before: exponential back-off with jitter, or what Retry-After asks for.
import type { Clock } from '../clock.ts';

export const maxAttempts = 5;
/** How often one request is sent again to a host that answers each time that it is asked too often. */
export const maxRefusals = 10;
const baseDelay = 500;
const maxDelay = 20_000;

/**
 * Whether an answer is worth another attempt. After a 500 the work may have been done, so only what may be done twice is repeated:
 * reading, and what is said to be `idempotent`.
 */
export function isRetriedStatus(status: number, method: string, idempotent = false): boolean {
  if (status === 500) return method === 'GET' || method === 'HEAD' || idempotent;
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
