// How a registry is reached, by what the config says of it.
import { isLoopback } from '../image/reference.ts';
import type { Config } from './config.ts';

/** HTTP without TLS: as configured, and where nothing is, with this machine alone. */
export function speaksPlainHttp(registries: Config['registries'], host: string): boolean {
  return registries[host]?.plainHttp ?? isLoopback(host);
}
