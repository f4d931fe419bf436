// The connections to each host: directly or by the proxy of the environment, and with the certificates that are kept for it.
import tls from 'node:tls';
import { Agent, type Dispatcher, EnvHttpProxyAgent } from 'undici';
import { ok, type Result } from '../failure.ts';
import { isLoopback } from '../image/reference.ts';
import type { CertificateStore, Certificates } from './certs.ts';

export interface AgentOptions {
  /** PEM of authorities to trust for a host besides the public ones. */
  ca(host: string): string | undefined;
  certificates: CertificateStore;
  /** Ms without a byte of a body that is on its way. */
  bodyTimeout: number;
}

/**
 * The connections to a URL that a registry's answers led to. Authorities that are trusted for a registry are trusted for its token server and
 * its storage too, as docker and podman do, who have one list for all of them; the client's certificate is shown to the host alone that it is
 * kept for. `name` is what the URL's host is called in config and certs.d.
 */
export function createAgents(
  options: AgentOptions,
): (url: URL, name: string, registry: string) => Promise<Result<Dispatcher>> {
  const agents = new Map<string, Dispatcher>();
  return async (url, name, registry) => {
    const direct = isLoopback(url.hostname);
    const own: string[] = [];
    let client: Certificates['client'];
    for (const each of url.protocol === 'https:' ? new Set([name, registry]) : []) {
      const configured = options.ca(each);
      if (configured !== undefined) own.push(configured);
      const stored = await options.certificates.get(each);
      if (!stored.ok) return stored;
      own.push(...stored.value.ca);
      if (each === name) client = stored.value.client;
    }
    // What has certificates of its own has connections of its own.
    const key = `${direct} ${own.length > 0 || client ? `${name} ${registry}` : ''}`;
    const known = agents.get(key);
    if (known) return ok(known);
    const trust = { ...(own.length > 0 ? { ca: [...publicAuthorities(), ...own] } : {}), ...client };
    // More than requests go at a time (rate.ts): a blob that is being read, or copied, must not keep others from a connection.
    const shared = { connections: 64, keepAliveTimeout: 10_000, bodyTimeout: options.bodyTimeout };
    const connect = { ...trust, timeout: 15_000 };
    // As Go's programs do, a proxy of the environment is never asked for this very machine.
    const agent = direct
      ? new Agent({ ...shared, connect })
      : new EnvHttpProxyAgent({ ...shared, connect, requestTls: trust });
    agents.set(key, agent);
    return ok(agent);
  };
}

/** Those that Node trusts: its own list and NODE_EXTRA_CA_CERTS; the list alone where Node (before 22.15) can't tell. */
function publicAuthorities(): readonly string[] {
  const { getCACertificates }: Partial<Pick<typeof tls, 'getCACertificates'>> = tls;
  return getCACertificates?.('default') ?? tls.rootCertificates;
}
