// The registry that a command publishes to: one that the config names, or the embedded one, started for as long as the command runs.
import { randomBytes } from 'node:crypto';
import { resolve } from 'node:path';
import type { Config } from '../config/config.ts';
import { type Failure, ok, type Result } from '../failure.ts';
import { isLoopback } from '../image/reference.ts';
import type { RegistryClient } from '../registry/client.ts';
import { startEmbeddedRegistry } from '../registry/embedded.ts';
import { createClient } from './client.ts';

export interface OpenRegistry {
  client: RegistryClient;
  address: string;
  plainHttp: boolean;
  loopbackPort?: number;
  close(): Promise<void>;
}

export async function openRegistry(
  config: Config,
  state: string,
  onFailure: (failure: Failure) => void,
): Promise<Result<OpenRegistry>> {
  const { registry } = config;
  if (registry.kind === 'remote') {
    const reach = createClient(config);
    if (!reach.ok) return reach;
    const { client, plainHttp } = reach.value;
    return ok({ client, address: registry.host, plainHttp: plainHttp(registry.host), close: async () => undefined });
  }
  const at = registry.listen ? splitAddress(registry.listen) : { host: '127.0.0.1', port: 0 };
  const server = await startEmbeddedRegistry({ root: resolve(state, 'registry'), ...at, onFailure });
  if (!server.ok) return server;
  const { address, port, close } = server.value;
  const reach = createClient(config, [address]);
  if (!reach.ok) {
    await close();
    return reach;
  }
  return ok({
    client: reach.value.client,
    address,
    plainHttp: true,
    close,
    ...(isLoopback(at.host) ? { loopbackPort: port } : {}),
  });
}

export function splitAddress(address: string): { host: string; port: number } {
  const at = address.lastIndexOf(':');
  return at < 0 ? { host: address, port: 5000 } : { host: address.slice(0, at), port: Number(address.slice(at + 1)) };
}

/** Sorts by time, and is fit for a tag: `20261124-225501-1f3a9c`. */
export function runId(now: Date): string {
  const stamp = now.toISOString().replace(/[-:]/g, '').replace('T', '-').slice(0, 15);
  return `${stamp}-${randomBytes(3).toString('hex')}`;
}
