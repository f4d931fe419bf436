// Signals that many wait under: one made of several, and many calls at one.

/**
 * Does work under a signal that is aborted with the first of several, for the same reason. What `AbortSignal.any` makes is kept, once
 * it is listened to, as long as the longest-lived of its sources: a run's own signal kept what each of thousands of builds had left.
 */
export async function underAny<T>(
  signals: readonly AbortSignal[],
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const either = new AbortController();
  const leave = signals.map((signal) => {
    const abort = (): void => either.abort(signal.reason);
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
    return () => signal.removeEventListener('abort', abort);
  });
  try {
    return await work(either.signal);
  } finally {
    for (const off of leave) off();
  }
}

const called = new WeakMap<AbortSignal, Set<() => void>>();

/**
 * Calls once the signal is aborted, unless what is given back was called before. All calls of a signal share one listener: a signal looks
 * through its listeners for each that it gets, which for thousands takes longer than what they wait for.
 */
export function onAbort(signal: AbortSignal, call: () => void): () => void {
  const calls = called.get(signal) ?? new Set();
  if (!called.has(signal)) {
    called.set(signal, calls);
    signal.addEventListener('abort', () => {
      for (const each of calls) each();
    });
  }
  calls.add(call);
  return () => calls.delete(call);
}
