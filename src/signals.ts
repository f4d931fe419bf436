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
    return onAbort(signal, abort);
  });
  try {
    return await work(either.signal);
  } finally {
    for (const off of leave) off();
  }
}

const called = new WeakMap<AbortSignal, { calls: Set<() => void>; listener: () => void }>();

/**
 * Calls once the signal is aborted, unless what is given back was called before. All calls of a signal share one listener, which goes with
 * the last of them: a signal looks through its listeners for each that it gets, which for thousands takes longer than what they wait for.
 */
export function onAbort(signal: AbortSignal, call: () => void): () => void {
  const { calls, listener } = called.get(signal) ?? listenTo(signal);
  calls.add(call);
  return () => {
    calls.delete(call);
    if (calls.size > 0 || called.get(signal)?.calls !== calls) return;
    called.delete(signal);
    signal.removeEventListener('abort', listener);
  };
}

function listenTo(signal: AbortSignal): { calls: Set<() => void>; listener: () => void } {
  const calls = new Set<() => void>();
  const listener = (): void => {
    for (const each of calls) each();
  };
  called.set(signal, { calls, listener });
  signal.addEventListener('abort', listener, { once: true });
  return { calls, listener };
}
