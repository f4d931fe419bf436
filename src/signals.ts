// One signal made of several, for as long as some work takes.

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
