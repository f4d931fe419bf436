// HEADs, of which a run in which nothing has changed makes three an image, and no other requests. An answer to one has no body, so that it needs
// neither a stream nor a signal of its own, which take longer than all else of such a request. What speaks plain HTTP is asked on a bare
// connection, for a third of the time; whatever doesn't answer simply there, and all others, by undici's dispatch.
import type { Dispatcher } from 'undici';
import { isLoopback } from '../image/reference.ts';
import { onAbort } from '../signals.ts';
import { DeadlineError, type Received } from './body.ts';
import { type Connection, openConnection } from './wire.ts';

/** Undefined where the host is not of those that can be asked so: then the HEAD is for undici. `late`: ms until the answer must be there. */
export type PlainHead = (
  url: URL,
  headers: Record<string, string>,
  late: number,
  signal: AbortSignal,
) => Promise<Received | undefined>;

/** Ms that a connection is kept for the next request. */
const idle = 10_000;

export function createPlainHead(env: NodeJS.ProcessEnv = process.env): PlainHead {
  const free = new Map<string, Connection[]>();
  /** Those that something was out of the ordinary with. */
  const unusual = new Set<string>();
  const proxied = Boolean(env.http_proxy || env.HTTP_PROXY);
  return async (url, headers, late, signal) => {
    const { host } = url;
    if (url.protocol !== 'http:' || unusual.has(host) || (proxied && !isLoopback(url.hostname))) return undefined;
    const connections = free.get(host) ?? [];
    free.set(host, connections);
    const connection = lastOpen(connections) ?? openConnection(url, Math.max(late, idle));
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      connection.close();
    }, late);
    const letGo = onAbort(signal, () => connection.close());
    try {
      if (signal.aborted) connection.close();
      const answer = await connection.exchange({ method: 'HEAD', path: url.pathname + url.search, headers });
      if (answer.headers.get('connection')?.toLowerCase() === 'close') connection.close();
      else connections.push(connection);
      return { statusCode: answer.status, headers: Object.fromEntries(answer.headers), body: undefined };
    } catch (error) {
      if (isLate) throw new DeadlineError(late);
      if (signal.aborted) throw error;
      unusual.add(host);
      return undefined;
    } finally {
      clearTimeout(timer);
      letGo();
    }
  };
}

/** Takes it; the others have been closed since they were used. */
function lastOpen(connections: Connection[]): Connection | undefined {
  for (let last = connections.pop(); last; last = connections.pop()) if (last.isOpen()) return last;
  return undefined;
}

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
