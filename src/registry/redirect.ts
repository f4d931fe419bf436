// Where a request may go next. A redirect, or the Location of an upload, is a registry's word: it may lead to another host (storage in a
// cloud), but not round in circles, and not from TLS to plain HTTP, where anybody on the way reads and changes what passes.
import { fail, ok, type Result } from '../failure.ts';
import type { Subject } from './refusal.ts';

const maxRedirects = 5;

/** `https://registry-1.docker.io/` for `docker.io`, whose name is not its registry's host. */
export function originOf(registry: string, plainHttp: (host: string) => boolean): URL {
  return new URL(
    registry === 'docker.io'
      ? 'https://registry-1.docker.io/'
      : `${plainHttp(registry) ? 'http' : 'https'}://${registry}/`,
  );
}

/** The address to ask: at first the exchange's target, and then what `redirect` says, which was the answer number `hop` (from 0). */
export function nextHop(
  subject: Subject & { target: string | URL },
  home: URL,
  plainHttp: (host: string) => boolean,
  redirect?: { location: string; from: URL; hop: number },
): Result<URL> {
  const { registry, where } = subject;
  const refuse = (message: string, help?: string): Result<never> =>
    fail({ kind: 'registry', transient: false, message, where, ...(help ? { help } : {}) });
  if (redirect && redirect.hop >= maxRedirects) {
    return refuse(
      `${registry} sends from one address to the next, ${maxRedirects + 1} times`,
      'look at the redirects of the registry, or of the proxy in front of it',
    );
  }
  const [text, base] = redirect ? [redirect.location, redirect.from] : [subject.target, home];
  const url = text instanceof URL ? new URL(text) : URL.parse(text, base.href);
  if (!url || !['http:', 'https:'].includes(url.protocol) || url.hostname === '') {
    return refuse(`${registry} sends to an address that is none`);
  }
  // Never sent, and not to be shown in a message.
  url.username = '';
  url.password = '';
  // A registry that doesn't know of the TLS in front of it gives out http addresses of itself.
  if (url.host === home.host && home.protocol === 'https:') url.protocol = 'https:';
  if (url.protocol === 'http:' && home.protocol === 'https:' && !plainHttp(url.host)) {
    return refuse(
      `${registry} sends to ${url.host} without encryption`,
      `if that is to be: registries: { "${url.host}": { plainHttp: true } }`,
    );
  }
  return ok(url);
}
