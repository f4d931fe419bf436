// A request by undici, under a signal of its own, which hears of the caller's as long as the answer is read. What AbortSignal.any makes of
// several stays until it is collected: after some thousand requests, a fifth of a process's memory was of these.
import type { Dispatcher } from 'undici';
import { onAbort } from '../signals.ts';
import { DeadlineError, type Received } from './body.ts';

/**
 * The answer when its head is there; aborting the signal ends its body too, for as long as that is open. `late`: ms until the head must
 * be there, if it must.
 */
export async function sendRequest(
  dispatcher: Dispatcher,
  options: Dispatcher.RequestOptions,
  late: number | undefined,
  signal: AbortSignal,
): Promise<Received> {
  const ended = new AbortController();
  const cancel = (): void => ended.abort(signal.reason);
  const letGo = onAbort(signal, cancel);
  const timer = late === undefined ? undefined : setTimeout(() => ended.abort(new DeadlineError(late)), late);
  if (signal.aborted) cancel();
  try {
    const answer = await dispatcher.request({ ...options, signal: ended.signal });
    answer.body.once('close', letGo);
    return answer;
  } catch (error) {
    letGo();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}
