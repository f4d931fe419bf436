// What may pass is tried again, at growing distances and not for ever; what really failed is not.
import type { Clock } from '../clock.ts';
import type { Failure, Result } from '../failure.ts';

export const maxAttempts = 4;

/** Whether the same may succeed when it is tried again, elsewhere or later. */
export function isTransient(failure: Failure): boolean {
  return (failure.kind === 'engine' || failure.kind === 'registry' || failure.kind === 'source') && failure.transient;
}

/** Whether a failure to look at something leaves open whether it is there. */
export function mayPass(failure: Failure): boolean {
  return failure.kind === 'cancelled' || isTransient(failure);
}

/** Waits after the attempt of this number (from 1): 1 s, 2 s, 4 s… and as much again by chance. */
export function pause(attempt: number, clock: Clock, signal: AbortSignal): Promise<void> {
  const base = Math.min(1000 * 2 ** (attempt - 1), 15_000);
  return clock.sleep(base * (1 + clock.random()), signal);
}

/** Tries `work` until it succeeds, fails for good, or has been tried often enough; `failed` hears of each failure. */
export async function tried<T>(
  work: (attempt: number) => Promise<Result<T>>,
  failed: (failure: Failure, willRetry: boolean) => void,
  clock: Clock,
  signal: AbortSignal,
): Promise<Result<T>> {
  for (let attempt = 1; ; attempt += 1) {
    const result = await work(attempt);
    if (result.ok) return result;
    const willRetry = attempt < maxAttempts && isTransient(result.failure) && !signal.aborted;
    failed(result.failure, willRetry);
    if (!willRetry) return result;
    await pause(attempt, clock, signal);
  }
}
