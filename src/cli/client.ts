// The registry client of a command, with what the config says on how to reach each registry.
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Config } from '../config/config.ts';
import { speaksPlainHttp } from '../config/registries.ts';
import { fail, ok, type Result } from '../failure.ts';
import { createRegistryClient, type RegistryClient } from '../registry/client.ts';

export interface Reach {
  client: RegistryClient;
  plainHttp(host: string): boolean;
}

/**
 * `plain`: hosts that speak plain HTTP whatever the config says, if there is one. Fails where a CA file that the config names can't be
 * read.
 */
export function createClient(
  config: Pick<Config, 'registries' | 'folder'> | undefined,
  plain: Iterable<string> = [],
): Result<Reach> {
  const { folder, registries: written } = config ?? { folder: '.', registries: {} };
  const registries: Config['registries'] = { ...written };
  for (const host of plain) registries[host] = { ...written[host], plainHttp: true };
  const authorities = new Map<string, string>();
  for (const [host, { ca }] of Object.entries(registries)) {
    if (ca === undefined) continue;
    const file = resolve(folder, ca);
    try {
      authorities.set(host, readFileSync(file, 'utf8'));
    } catch (error) {
      return fail({
        kind: 'usage',
        message: `the CA file of registry '${host}' can't be read: ${error instanceof Error ? error.message : String(error)}`,
        where: file,
        help: `mend 'registries.${host}.ca' in the config: a PEM file, relative to it`,
      });
    }
  }
  const plainHttp = (host: string): boolean => speaksPlainHttp(registries, host);
  return ok({ client: createRegistryClient({ plainHttp, ca: (host) => authorities.get(host) }), plainHttp });
}
