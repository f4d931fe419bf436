// What every task of a run is given: the world outside comes in here, so tests can bring their own.
import type { Fleet } from '../fleet/fleet.ts';
import type { RegistryClient } from '../registry/client.ts';
import type { Emit } from './event.ts';

export interface RunContext {
  /** Unique to the run and fit to be part of a tag. */
  id: string;
  /** The id was given: other processes, on other machines, build for the same run, and what they staged is taken as done. */
  shared: boolean;
  registry: RegistryClient;
  /** `host:port` of the registry as the coordinator reaches it. */
  registryAddress: string;
  plainHttp: boolean;
  fleet: Fleet;
  emit: Emit;
  /** Ms since the epoch. */
  now(): number;
  /** Where secrets are read from. */
  env: Readonly<Record<string, string | undefined>>;
}
