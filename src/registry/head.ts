// A HEAD by undici's dispatch: its answer has no body, so that it needs neither a stream nor a signal of its own. They take longer than all
// else of such a request, and a run in which nothing has changed makes no others.
import type { Dispatcher } from 'undici';
import { onAbort } from '../signals.ts';
import { DeadlineError, type Received } from './body.ts';

/** `late`: ms until the whole answer must be there, as its head may come in drips. */
export function sendHead(
  dispatcher: Dispatcher,
  options: Omit<Dispatcher.DispatchOptions, 'method' | 'body'>,
  late: number,
  signal: AbortSignal,
): Promise<Received> {
  return new Promise((resolve, reject) => {
    let controller: Dispatcher.DispatchController | undefined;
    let ended: Error | undefined;
    let head: Omit<Received, 'body'> = { statusCode: 0, headers: {} };
    const letGo = (): void => {
      clearTimeout(timer);
      stay();
    };
    const end = (reason: Error): void => {
      ended = reason;
      letGo();
      reject(reason);
      controller?.abort(reason);
    };
    const cancel = (): void => end(new Error('cancelled', { cause: signal.reason }));
    const timer = setTimeout(() => end(new DeadlineError(late)), late);
    const stay = onAbort(signal, cancel);
    if (signal.aborted) return cancel();
    dispatcher.dispatch(
      { ...options, method: 'HEAD' },
      {
        onRequestStart(given) {
          controller = given;
          // While it waited for a connection.
          if (ended) given.abort(ended);
        },
        onResponseStart(_, statusCode, headers) {
          head = { statusCode, headers };
        },
        onResponseEnd() {
          letGo();
          resolve({ ...head, body: undefined });
        },
        onResponseError(_, error) {
          letGo();
          reject(error);
        },
      },
    );
  });
}
