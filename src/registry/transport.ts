// One HTTP exchange with a registry: authorised, paced, retried, redirected. Everything above it speaks of manifests and blobs.

import { Readable } from 'node:stream';
import type { Clock } from '../clock.ts';
import { fail, ok, type Result } from '../failure.ts';
import { createAgents } from './agents.ts';
import { type Authenticator, createAuthenticator } from './auth.ts';
import { discard, marked, type Received, readBeginning, readWhole, sourceFailure } from './body.ts';
import type { CertificateStore } from './certs.ts';
import type { CredentialStore } from './credentials.ts';
import { sendHead } from './head.ts';
import { createGates } from './rate.ts';
import { nextHop, originOf } from './redirect.ts';
import { isPassing, refused, StreamFailure, type Subject, unreached } from './refusal.ts';
import { sendRequest } from './request.ts';
import { backoff, isRetriedStatus, maxAttempts, maxRefusals } from './retry.ts';

export interface Exchange extends Subject {
  method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'PATCH' | 'DELETE';
  /** A path on the registry, or a whole URL that the registry gave. */
  target: string | URL;
  /** Token scopes: `repository:team/app:pull,push`. */
  scopes: string[];
  headers?: Record<string, string>;
  /** Bytes, or a function that opens the body anew for every attempt; then `length` is its size. */
  body?: Uint8Array | (() => Readable);
  length?: number;
  /** Statuses that are answers; every other one is a failure. */
  expect: readonly number[];
  /** Done twice is as done once, though the method is none of reading. */
  idempotent?: boolean;
  /** False where repeating it blindly would do harm; a new login is still tried. */
  retried?: boolean;
  /** Ms to wait for the answer's head, where it may take longer than usual. */
  patience?: number;
}

export interface Answer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  /** Where the answer came from, after redirects. */
  url: URL;
}
export type WholeAnswer = Answer & { bytes: Uint8Array };
export type OpenAnswer = Answer & { body: Readable };

export interface TransportOptions {
  credentials: CredentialStore;
  plainHttp(host: string): boolean;
  /** PEM of the authorities to trust besides the system's. */
  ca(host: string): string | undefined;
  certificates: CertificateStore;
  userAgent: string;
  clock: Clock;
  patience?: Partial<Patience>;
}

/** How long a registry is waited for, in ms. */
export interface Patience {
  /** For the head of an answer. */
  head: number;
  /** For the whole body of a small answer. */
  body: number;
  /** For the next bytes of any body. */
  silence: number;
  /** For a blob's bytes to come to more than a trickle (download.ts). */
  trickle: number;
  /** Until a host that was asked too often may be asked again. */
  limit: number;
}

const usual: Patience = { head: 60_000, body: 120_000, silence: 120_000, trickle: 300_000, limit: 300_000 };

export interface Transport {
  /** The answer with its body, which may have `limit` bytes at most. */
  exchange(exchange: Exchange, limit: number, signal: AbortSignal): Promise<Result<WholeAnswer>>;
  /** The answer with its body unread; whoever gets it reads or destroys it. */
  open(exchange: Exchange, signal: AbortSignal): Promise<Result<OpenAnswer>>;
  /** Waits as long as after a failed attempt of this number (from 1). */
  pause(attempt: number, signal: AbortSignal): Promise<void>;
  readonly patience: Patience;
}

export function headerOf(answer: Pick<Answer, 'headers'>, name: string): string | undefined {
  const value = answer.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

export function createTransport(options: TransportOptions): Transport {
  const patience: Patience = { ...usual, ...options.patience };
  const agentFor = createAgents({ ...options, bodyTimeout: patience.silence });
  const gates = createGates(options.clock, patience.limit);
  const homes = new Map<string, URL>();
  const homeOf = (registry: string): URL => {
    const home = homes.get(registry) ?? originOf(registry, options.plainHttp);
    homes.set(registry, home);
    return home;
  };
  const whole = (exchange: Exchange, limit: number) => async (data: Received) => ({
    bytes: await readWhole(data, { limit, ms: patience.body, where: exchange.where, method: exchange.method }),
  });
  const authenticator = createAuthenticator({
    credentials: options.credentials,
    now: options.clock.now,
    allowsPlainHttp: options.plainHttp,
    exchange: (exchange, signal) => retried(exchange, whole(exchange, 1 << 20), signal),
  });

  /** One attempt: follows redirects, and gives an Authorization only to the registry itself. */
  async function attempt(
    exchange: Exchange,
    authorization: string | undefined,
    signal: AbortSignal,
  ): Promise<{ url: URL; data: Received }> {
    const home = homeOf(exchange.registry);
    const first = take(nextHop(exchange, home, options.plainHttp));
    let url = first;
    for (let hop = 0; ; hop += 1) {
      const headers: Record<string, string> = { 'user-agent': options.userAgent, ...exchange.headers };
      // The token server's password is in the exchange's own headers.
      if (url.origin !== first.origin) delete headers.authorization;
      if (exchange.length !== undefined) headers['content-length'] = String(exchange.length);
      if (authorization !== undefined && url.origin === home.origin) headers.authorization = authorization;
      const data = await send(
        exchange,
        url,
        headers,
        url.origin === home.origin ? exchange.registry : url.host,
        signal,
      );
      const location = data.headers.location;
      const reads = exchange.method === 'GET' || exchange.method === 'HEAD';
      const redirects = reads && [301, 302, 303, 307, 308].includes(data.statusCode) && typeof location === 'string';
      if (!redirects) return { url, data };
      await discard(data);
      url = take(nextHop(exchange, home, options.plainHttp, { location, from: url, hop }));
    }
  }

  async function send(
    exchange: Exchange,
    url: URL,
    headers: Record<string, string>,
    name: string,
    signal: AbortSignal,
  ): Promise<Received> {
    const streams = typeof exchange.body === 'function';
    const turn = take(await gates.enter(url.host, { ...exchange, path: url.pathname, streams }, signal));
    let body: Uint8Array | Readable | undefined;
    try {
      body =
        typeof exchange.body === 'function'
          ? Readable.from(marked(exchange.body()), { objectMode: false })
          : exchange.body;
    } catch (error) {
      turn.leave();
      throw error;
    }
    const headersTimeout = exchange.patience ?? patience.head;
    // undici's time-out of the head begins when the body is sent, and doesn't end what comes in drips. This one is of the whole, where no
    // stream is sent; of the head alone, as the signal also ends the answer's body.
    const latest = 2 * headersTimeout;
    const isHead = exchange.method === 'HEAD';
    const request = {
      origin: url.origin,
      path: url.pathname + url.search,
      headers,
      // undici closes a connection after a HEAD unless it is told that the server keeps to the protocol, and answers it without a body.
      reset: false,
      headersTimeout,
    };
    try {
      const dispatcher = take(await agentFor(url, name, exchange.registry));
      const data = isHead
        ? await sendHead(dispatcher, request, latest, signal)
        : await sendRequest(
            dispatcher,
            { ...request, method: exchange.method, ...(body === undefined ? {} : { body }) },
            streams ? undefined : latest,
            signal,
          );
      turn.leave({ status: data.statusCode, headers: data.headers });
      return data;
    } catch (error) {
      turn.leave();
      if (body instanceof Readable) body.on('error', () => undefined).destroy();
      throw new ConnectionError(
        url,
        isMismatch(error) ? sourceFailure('the content to upload has another size than was said') : error,
      );
    }
  }

  async function retried<T>(
    exchange: Exchange,
    read: (data: Received) => Promise<T>,
    signal: AbortSignal,
    auth?: Authenticator,
  ): Promise<Result<Answer & T>> {
    let logins = 0;
    let attempts = 0;
    let refusals = 0;
    for (;;) {
      if (signal.aborted) return fail({ kind: 'cancelled' });
      const authorization = auth ? await auth.authorize(exchange, signal) : ok(undefined);
      if (!authorization.ok) return authorization;
      attempts += 1;
      const last = attempts - refusals >= maxAttempts || exchange.retried === false;
      try {
        const { url, data } = await attempt(exchange, authorization.value, signal);
        const { statusCode: status, headers } = data;
        if (exchange.expect.includes(status)) {
          return ok({ ...(await readOr(data, read, url)), status, headers, url });
        }
        if (status === 429 && refusals < maxRefusals && exchange.retried !== false) {
          // The gate of its host makes it wait, with all others that want to go there.
          refusals += 1;
          await discard(data);
          continue;
        }
        if (isRetriedStatus(status, exchange.method, exchange.idempotent) && status !== 429 && !last) {
          await discard(data);
          if (headers['retry-after'] === undefined) await options.clock.sleep(backoff(attempts, options.clock), signal);
          continue;
        }
        const bytes = await readBeginning(data.body, 64 << 10, Math.min(patience.body, 10_000));
        // Only the registry itself may say where its password goes: not the host that an upload or a redirect went to.
        const fromHome = url.origin === homeOf(exchange.registry).origin;
        if (status === 401 && auth && logins === 0 && fromHome) {
          const won = await auth.challenged(exchange, headers['www-authenticate'], authorization.value, signal);
          if (!won.ok) return won;
          if (won.value) {
            logins += 1;
            attempts -= 1;
            continue;
          }
        }
        return refused(exchange, { status, bytes }, attempts);
      } catch (error) {
        if (signal.aborted) return fail({ kind: 'cancelled' });
        if (error instanceof StreamFailure) return fail(error.failure);
        if (!(error instanceof ConnectionError)) throw error;
        if (error.cause instanceof StreamFailure) return fail(error.cause.failure);
        if (last || !isPassing(error.cause)) return unreached(exchange, error.url, error.cause, attempts);
        await options.clock.sleep(backoff(attempts, options.clock), signal);
      }
    }
  }

  return {
    exchange: (exchange, limit, signal) => retried(exchange, whole(exchange, limit), signal, authenticator),
    open: (exchange, signal) =>
      retried(exchange, async ({ body }) => ({ body: body ?? Readable.from([]) }), signal, authenticator),
    pause: (attempt, signal) => options.clock.sleep(backoff(attempt, options.clock), signal),
    patience,
  };
}

/** A failure on the way through `attempt`, which gives what it has only by its value. */
function take<T>(result: Result<T>): T {
  if (!result.ok) throw new StreamFailure(result.failure);
  return result.value;
}

class ConnectionError extends Error {
  readonly url: URL;
  constructor(url: URL, cause: unknown) {
    super('connection error', { cause });
    this.url = url;
  }
}

async function readOr<T>(data: Received, read: (data: Received) => Promise<T>, url: URL): Promise<T> {
  return read(data).catch((error: unknown) => {
    throw new ConnectionError(url, error);
  });
}

function isMismatch(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH';
}
