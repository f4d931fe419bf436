// Logging in to registries: basic, and bearer tokens as Docker's token specification has them
// (distribution.github.io/distribution/spec/auth: token, oauth, scope).
import { z } from 'zod';
import { fail, ok, type Result } from '../failure.ts';
import { parseChallenges } from './challenge.ts';
import type { Credential, CredentialStore } from './credentials.ts';
import type { Exchange, WholeAnswer } from './transport.ts';

export interface Authenticator {
  /** The Authorization header to send at once, as far as the registry's ways are known. */
  authorize(exchange: Exchange, signal: AbortSignal): Promise<Result<string | undefined>>;
  /** Learns from a 401 that was the answer to `used`; true when it is worth asking again. */
  challenged(
    exchange: Exchange,
    header: string | string[] | undefined,
    used: string | undefined,
    signal: AbortSignal,
  ): Promise<Result<boolean>>;
}

interface AuthenticatorOptions {
  credentials: CredentialStore;
  /** Ms since the epoch. */
  now(): number;
  allowsPlainHttp(host: string): boolean;
  exchange(exchange: Exchange, signal: AbortSignal): Promise<Result<WholeAnswer>>;
}

/** How a registry wants to be spoken to; learnt from its first challenge. */
type Manner = { kind: 'basic'; header: string } | { kind: 'bearer'; realm: URL; service?: string | undefined };

interface Token {
  header: string;
  /** Ms since the epoch. */
  expires: number;
}

const tokenSchema = z.looseObject({
  token: z.string().optional(),
  access_token: z.string().optional(),
  /** Seconds. */
  expires_in: z.number().optional(),
});

/** "If expires_in is omitted, this defaults to 60 seconds" (token spec). */
const defaultLifetime = 60;
/** Ms: a token that is about to end is not sent any more. */
const margin = 10_000;

export function createAuthenticator(options: AuthenticatorOptions): Authenticator {
  const manners = new Map<string, Manner>();
  const tokens = new Map<string, Token>();
  const underway = new Map<string, Promise<Result<Token>>>();

  /** A token for these scopes; those who want the same one at the same time share one request. */
  async function tokenFor(exchange: Exchange, manner: Manner & { kind: 'bearer' }, signal: AbortSignal) {
    const key = tokenKey(exchange);
    const cached = tokens.get(key);
    if (cached && cached.expires > options.now()) return ok(cached);
    for (;;) {
      const running = underway.get(key);
      const fetching = running ?? fetchToken(exchange, manner, signal).finally(() => underway.delete(key));
      if (!running) underway.set(key, fetching);
      const token = await fetching;
      if (token.ok) tokens.set(key, token.value);
      // Another caller's abort is not this one's.
      if (running && !token.ok && token.failure.kind === 'cancelled' && !signal.aborted) continue;
      return token;
    }
  }

  async function fetchToken(
    exchange: Exchange,
    manner: Manner & { kind: 'bearer' },
    signal: AbortSignal,
  ): Promise<Result<Token>> {
    const credential = await options.credentials.get(exchange.registry, signal);
    if (!credential.ok) return credential;
    const { realm, service } = manner;
    const asked = credential.value;
    if (asked?.kind === 'token') return ok({ header: `Bearer ${asked.token}`, expires: Number.POSITIVE_INFINITY });
    const request =
      asked?.kind === 'identity'
        ? oauth(asked, realm, service, exchange.scopes)
        : plain(asked, realm, service, exchange.scopes);
    const answer = await options.exchange(
      { ...request, registry: exchange.registry, where: exchange.where, scopes: [], expect: [200] },
      signal,
    );
    if (!answer.ok) return answer;
    const parsed = parseToken(answer.value.bytes);
    const token = parsed?.access_token || parsed?.token;
    // What can't be in a header is no token (RFC 6750, 2.1).
    if (!parsed || !token || !/^[\x21-\x7e]+$/.test(token)) {
      return fail({
        kind: 'registry',
        transient: false,
        message: `the token server ${realm.host} of ${exchange.registry} gave no token`,
        where: exchange.where,
      });
    }
    const lifetime = Math.max(parsed.expires_in ?? defaultLifetime, defaultLifetime) * 1000;
    return ok({ header: `Bearer ${token}`, expires: options.now() + lifetime - margin });
  }

  return {
    authorize: async (exchange, signal) => {
      const manner = manners.get(exchange.registry);
      if (!manner) return ok(undefined);
      if (manner.kind === 'basic') return ok(manner.header);
      const token = await tokenFor(exchange, manner, signal);
      return token.ok ? ok(token.value.header) : token;
    },
    challenged: async (exchange, header, used, signal) => {
      const challenges = parseChallenges(header);
      const bearer = challenges.find((challenge) => challenge.scheme === 'bearer');
      if (bearer) {
        const realm = realmOf(bearer.parameters.realm, exchange, options.allowsPlainHttp);
        if (!realm.ok) return realm;
        manners.set(exchange.registry, { kind: 'bearer', realm: realm.value, service: bearer.parameters.service });
        // A token that was just refused is dropped, so authorize fetches another; others may have done so meanwhile.
        const key = tokenKey(exchange);
        if (tokens.get(key)?.header === used) tokens.delete(key);
        return ok(true);
      }
      if (!challenges.some((challenge) => challenge.scheme === 'basic')) return ok(false);
      const credential = await options.credentials.get(exchange.registry, signal);
      if (!credential.ok) return credential;
      if (credential.value?.kind !== 'basic') return ok(false);
      const basic = basicHeader(credential.value);
      manners.set(exchange.registry, { kind: 'basic', header: basic });
      return ok(used !== basic);
    },
  };
}

function tokenKey(exchange: Exchange): string {
  return [exchange.registry, ...exchange.scopes.toSorted()].join(' ');
}

type TokenRequest = Pick<Exchange, 'method' | 'target' | 'headers' | 'body'>;

/** GET with query and, where there is one, a password (token spec, "Requesting a Token"). */
function plain(
  credential: (Credential & { kind: 'basic' }) | undefined,
  realm: URL,
  service: string | undefined,
  scopes: string[],
): TokenRequest {
  const target = new URL(realm);
  if (service) target.searchParams.set('service', service);
  for (const scope of scopes) target.searchParams.append('scope', scope);
  if (!credential) return { method: 'GET', target };
  target.searchParams.set('account', credential.username);
  return { method: 'GET', target, headers: { authorization: basicHeader(credential) } };
}

/** POST of a refresh token, which docker's config calls identity token (oauth spec). */
function oauth(
  credential: Credential & { kind: 'identity' },
  realm: URL,
  service: string | undefined,
  scopes: string[],
): TokenRequest {
  const form = new URLSearchParams({
    grant_type: 'refresh_token',
    refresh_token: credential.token,
    client_id: 'splitbuild',
    ...(service ? { service } : {}),
    ...(scopes.length > 0 ? { scope: scopes.join(' ') } : {}),
  });
  return {
    method: 'POST',
    target: realm,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: Buffer.from(form.toString()),
  };
}

function basicHeader(credential: Credential & { kind: 'basic' }): string {
  return `Basic ${Buffer.from(`${credential.username}:${credential.password}`).toString('base64')}`;
}

/**
 * Passwords go to the realm, so it must be HTTPS, unless its host is one that is spoken to in plain HTTP: by the config, or because it is this
 * machine. A registry that is one doesn't make another host one.
 */
export function realmOf(
  text: string | undefined,
  exchange: Pick<Exchange, 'registry' | 'where'>,
  allowsPlainHttp: (host: string) => boolean,
): Result<URL> {
  const url = text !== undefined && URL.canParse(text) ? new URL(text) : undefined;
  const plainAllowed =
    url !== undefined &&
    (allowsPlainHttp(url.host) ||
      (allowsPlainHttp(exchange.registry) && new URL(`http://${exchange.registry}`).hostname === url.hostname));
  if (url && (url.protocol === 'https:' || (url.protocol === 'http:' && plainAllowed))) return ok(url);
  return fail({
    kind: 'registry',
    transient: false,
    message: url
      ? `${exchange.registry} wants its password sent to ${url.host} without encryption`
      : `${exchange.registry} asks for a login but doesn't say where`,
    where: exchange.where,
    ...(url ? { help: `if that is to be: registries: { "${url.host}": { plainHttp: true } }` } : {}),
  });
}

function parseToken(bytes: Uint8Array): z.infer<typeof tokenSchema> | undefined {
  try {
    const parsed = tokenSchema.safeParse(JSON.parse(Buffer.from(bytes).toString('utf8')));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}
