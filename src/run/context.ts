// What every task of a run is given: the world outside comes in here, so tests can bring their own.
import type { Clock } from '../clock.ts';
import type { Result } from '../failure.ts';
import type { Fleet } from '../fleet/fleet.ts';
import type { Descriptor } from '../image/oci.ts';
import type { Platform } from '../image/platform.ts';
import type { BuildTask } from '../plan/plan.ts';
import type { RegistryClient } from '../registry/client.ts';
import type { ReadInputs } from './build-inputs.ts';
import type { Built } from './build-task.ts';
import type { CheckNotes } from './checks.ts';
import type { Emit } from './event.ts';
import type { RunGate } from './gate.ts';
import type { KeptParts } from './keys-parts.ts';
import type { Look } from './published.ts';

export interface AuditedImage {
  /** Of the image in the config. */
  name: string;
  repository: string;
  /** Of the image manifest. */
  descriptor: Descriptor;
  platform: Platform;
}

export interface RunContext {
  /** Unique to the run and fit to be part of a tag. */
  id: string;
  /** The id was given: other processes, on other machines, build for the same run, and what they staged is taken as done. */
  shared: boolean;
  /** One that asks once for what a digest names (rememberedRegistry): a run comes by the same manifests again and again. */
  registry: RegistryClient;
  /** `host:port` of the registry as the coordinator reaches it. */
  registryAddress: string;
  plainHttp: boolean;
  /** The registry is splitbuild's own, whose tags can be dropped without their manifests. */
  embedded: boolean;
  fleet: Fleet;
  emit: Emit;
  clock: Clock;
  /** Where secrets are read from. */
  env: Readonly<Record<string, string | undefined>>;
  /** Reads what a build depends on besides its upstreams. */
  readInputs: ReadInputs;
  /** Build everything anew, whatever was built for the same key before. */
  noCache?: boolean;
  /** What was found under their keys before the run began, by task. */
  found?: ReadonlyMap<string, Built>;
  /** What the tags pointed at before the run began. */
  look?: Pick<Look, 'planned' | 'tags'>;
  /** Keeps what a build was made of, so that a later plan can say what has changed. */
  keepParts?(task: BuildTask, kept: KeptParts): Promise<void>;
  /** Looks for binaries of another machine in the layers of one platform's image; what is found, as lines for people. */
  audit(image: AuditedImage, allow: string[], signal: AbortSignal): Promise<Result<string[]>>;
  runGate: RunGate;
  /** What this machine has noted of images that passed. */
  checked?: CheckNotes;
  /** What the files are that a gate's command names. */
  gateFiles?(run: string): string;
  /** Go on where a tag has moved since the run planned; an older run never overwrites a newer one all the same. */
  force: boolean;
}
