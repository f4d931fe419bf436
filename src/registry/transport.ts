// One HTTP exchange with a registry: authorised, retried, redirected. Everything above it speaks of manifests and blobs.

import { Readable } from 'node:stream';
import { rootCertificates } from 'node:tls';
import { Agent, type Dispatcher, EnvHttpProxyAgent, request } from 'undici';
import { fail, ok, type Result } from '../failure.ts';
import { isLoopback } from '../image/reference.ts';
import { type Authenticator, createAuthenticator } from './auth.ts';
import type { CredentialStore } from './credentials.ts';
import { isPassing, refused, StreamFailure, type Subject, unreached } from './refusal.ts';
import { type Clock, isRetriedStatus, maxAttempts, retryDelay } from './retry.ts';

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
  /** False where repeating it blindly would do harm; a new login is still tried. */
  retried?: boolean;
  /** Ms to wait for the answer's head. */
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
  userAgent: string;
  clock: Clock;
}

export interface Transport {
  /** The answer with its body, which may have `limit` bytes at most. */
  exchange(exchange: Exchange, limit: number, signal: AbortSignal): Promise<Result<WholeAnswer>>;
  /** The answer with its body unread; whoever gets it reads or destroys it. */
  open(exchange: Exchange, signal: AbortSignal): Promise<Result<OpenAnswer>>;
  /** Waits as long as after a failed attempt of this number (from 1). */
  pause(attempt: number, signal: AbortSignal): Promise<void>;
}

export function headerOf(answer: Pick<Answer, 'headers'>, name: string): string | undefined {
  const value = answer.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

const maxRedirects = 5;
const agentOptions = { connections: 8, keepAliveTimeout: 10_000, connectTimeout: 15_000, bodyTimeout: 120_000 };

export function createTransport(options: TransportOptions): Transport {
  const agents = new Map<string, Dispatcher>();
  const agentFor = (url: URL): Dispatcher => {
    const ca = options.ca(url.host);
    const direct = isLoopback(url.hostname);
    const key = `${direct} ${ca ?? ''}`;
    const known = agents.get(key);
    if (known) return known;
    const tls = ca === undefined ? {} : { ca: [...rootCertificates, ca] };
    const connect = { ...tls, timeout: agentOptions.connectTimeout };
    // As Go's programs do, a proxy of the environment is never asked for this very machine.
    const agent = direct
      ? new Agent({ ...agentOptions, connect })
      : new EnvHttpProxyAgent({ ...agentOptions, connect, requestTls: tls });
    agents.set(key, agent);
    return agent;
  };
  const authenticator = createAuthenticator({
    credentials: options.credentials,
    now: options.clock.now,
    allowsPlainHttp: options.plainHttp,
    exchange: (exchange, signal) => retried(exchange, readWhole(1 << 20), signal),
  });

  /** One attempt: follows redirects, and gives an Authorization only to the registry itself. */
  async function attempt(
    exchange: Exchange,
    authorization: string | undefined,
    signal: AbortSignal,
  ): Promise<{ url: URL; data: Dispatcher.ResponseData }> {
    const home = originOf(exchange.registry, options.plainHttp);
    const first = new URL(exchange.target, home);
    // A registry that doesn't know of the TLS in front of it gives out http addresses of itself.
    if (first.host === home.host) first.protocol = home.protocol;
    let url = first;
    for (let hop = 0; ; hop += 1) {
      const headers: Record<string, string> = { 'user-agent': options.userAgent, ...exchange.headers };
      // The token server's password is in the exchange's own headers.
      if (url.origin !== first.origin) delete headers.authorization;
      if (exchange.length !== undefined) headers['content-length'] = String(exchange.length);
      if (authorization !== undefined && url.origin === home.origin) headers.authorization = authorization;
      const body =
        typeof exchange.body === 'function'
          ? Readable.from(marked(exchange.body()), { objectMode: false })
          : exchange.body;
      const data = await request(url, {
        method: exchange.method,
        headers,
        ...(body === undefined ? {} : { body }),
        dispatcher: agentFor(url),
        signal,
        headersTimeout: exchange.patience ?? 60_000,
      }).catch((error: unknown) => {
        const mismatch = isMismatch(error);
        const cause = mismatch ? sourceFailure('the content to upload has another size than was said') : error;
        throw new ConnectionError(url.host, cause);
      });
      const location = data.headers.location;
      const reads = exchange.method === 'GET' || exchange.method === 'HEAD';
      const redirects = reads && [301, 302, 303, 307, 308].includes(data.statusCode) && typeof location === 'string';
      if (!redirects || hop === maxRedirects) return { url, data };
      await discard(data);
      url = new URL(location, url);
    }
  }

  async function retried<T>(
    exchange: Exchange,
    read: (data: Dispatcher.ResponseData) => Promise<T>,
    signal: AbortSignal,
    auth?: Authenticator,
  ): Promise<Result<Answer & T>> {
    let logins = 0;
    let attempts = 0;
    for (;;) {
      if (signal.aborted) return fail({ kind: 'cancelled' });
      const authorization = auth ? await auth.authorize(exchange, signal) : ok(undefined);
      if (!authorization.ok) return authorization;
      attempts += 1;
      const last = attempts >= maxAttempts || exchange.retried === false;
      try {
        const { url, data } = await attempt(exchange, authorization.value, signal);
        const { statusCode: status, headers } = data;
        if (exchange.expect.includes(status)) {
          return ok({ ...(await readOr(data, read, url.host)), status, headers, url });
        }
        if (isRetriedStatus(status, exchange.method) && !last) {
          await discard(data);
          const after = headers['retry-after'];
          const asked = Array.isArray(after) ? after[0] : after;
          await options.clock.sleep(retryDelay(attempts, asked, options.clock), signal);
          continue;
        }
        const { bytes } = await readOr(data, readWhole(64 << 10), url.host);
        if (status === 401 && auth && logins === 0) {
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
        if (!(error instanceof ConnectionError)) throw error;
        if (error.cause instanceof StreamFailure) return fail(error.cause.failure);
        if (last || !isPassing(error.cause)) return unreached(exchange, error.host, error.cause, attempts);
        await options.clock.sleep(retryDelay(attempts, undefined, options.clock), signal);
      }
    }
  }

  return {
    exchange: (exchange, limit, signal) => retried(exchange, readWhole(limit), signal, authenticator),
    open: (exchange, signal) => retried(exchange, async (data) => ({ body: data.body }), signal, authenticator),
    pause: (attempt, signal) => options.clock.sleep(retryDelay(attempt, undefined, options.clock), signal),
  };
}

/** `https://registry-1.docker.io/` for `docker.io`, whose name is not its registry's host. */
export function originOf(registry: string, plainHttp: (host: string) => boolean): URL {
  return new URL(
    registry === 'docker.io'
      ? 'https://registry-1.docker.io/'
      : `${plainHttp(registry) ? 'http' : 'https'}://${registry}/`,
  );
}

class ConnectionError extends Error {
  readonly host: string;
  constructor(host: string, cause: unknown) {
    super('connection error', { cause });
    this.host = host;
  }
}

async function readOr<T>(
  data: Dispatcher.ResponseData,
  read: (data: Dispatcher.ResponseData) => Promise<T>,
  host: string,
): Promise<T> {
  return read(data).catch((error: unknown) => {
    throw new ConnectionError(host, error);
  });
}

function readWhole(limit: number): (data: Dispatcher.ResponseData) => Promise<{ bytes: Uint8Array }> {
  return async (data) => {
    const chunks: Uint8Array[] = [];
    let size = 0;
    for await (const chunk of data.body) {
      if (!(chunk instanceof Uint8Array)) continue;
      size += chunk.length;
      if (size > limit) {
        abandon(data.body);
        throw new StreamFailure({
          kind: 'verification',
          message: `a registry's answer is larger than ${limit} bytes`,
          help: 'what was asked for should be small; is it what it claims to be?',
        });
      }
      chunks.push(chunk);
    }
    return { bytes: Buffer.concat(chunks, size) };
  };
}

/** Ends a body that is not wanted; undici's complains with an error event, which nobody else would hear. */
export function abandon(body: Readable): void {
  body.on('error', () => undefined);
  body.destroy();
}

/** Reads past a short body, so that its connection serves again. */
async function discard(data: Dispatcher.ResponseData): Promise<void> {
  const short = Number(data.headers['content-length'] ?? Number.POSITIVE_INFINITY) <= 64 << 10;
  if (short) await data.body.dump().catch(() => undefined);
  else abandon(data.body);
}

/**
 * The body with its own errors marked: undici destroys it with the connection's error too, and then nobody could tell
 * whose fault it was.
 */
async function* marked(source: Readable): AsyncGenerator<unknown> {
  try {
    for await (const chunk of source) yield chunk;
  } catch (error) {
    if (error instanceof StreamFailure) throw error;
    throw sourceFailure(`reading for upload: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function sourceFailure(message: string): StreamFailure {
  return new StreamFailure({ kind: 'system', message });
}

function isMismatch(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH';
}
