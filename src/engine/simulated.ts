// An engine in memory, for tests and simulations: it takes its time by the clock that it is given, makes small images that depend on
// nothing but what it was asked to build, and falls ill where it is asked to.

import { Readable } from 'node:stream';
import type { Clock } from '../clock.ts';
import { type Failure, fail, ok, type Result } from '../failure.ts';
import { sha256 } from '../image/digest.ts';
import { mediaTypes } from '../image/oci.ts';
import { formatPlatform, type Platform } from '../image/platform.ts';
import { parseReference } from '../image/reference.ts';
import type { RegistryClient } from '../registry/client.ts';
import { underAny } from '../signals.ts';
import type { BuildRequest, Engine, RunRequest } from './engine.ts';

export interface SimulatedEngineOptions {
  name: string;
  machine: Platform;
  cpus: number;
  clock: Clock;
  /** As the engine's machine reaches it. */
  registry: RegistryClient;
  /** How long a build takes, ms, and the failure that it ends with, if any. */
  onBuild(request: BuildRequest): {
    durationMs: number;
    failure?: Failure /** What else is in the layer. */;
    stray?: string;
  };
  /** The failure that a command run in an image ends with, if any. */
  onRun(request: RunRequest): Failure | undefined;
}

export interface SimulatedEngine extends Engine {
  /** `dead` refuses at once, and loses what runs; `frozen` says nothing at all. */
  become(state: 'well' | 'dead' | 'frozen'): void;
}

interface Image {
  manifest: Uint8Array;
  config: Uint8Array;
  layer: Uint8Array;
}

export function createSimulatedEngine(options: SimulatedEngineOptions): SimulatedEngine {
  const { name, machine, clock, registry } = options;
  const images = new Map<string, Image>();
  let state: 'well' | 'dead' | 'frozen' = 'well';
  let fall = new AbortController();

  const gone: Failure = {
    kind: 'engine',
    transient: true,
    message: 'Cannot connect to the Docker daemon',
    where: name,
  };

  /** Does something that takes `ms`, unless the engine dies under it, or is frozen meanwhile. */
  async function takes(ms: number, signal: AbortSignal): Promise<Result<void>> {
    if (state === 'dead') return fail(gone);
    await underAny([signal, fall.signal], (either) => clock.sleep(ms, either));
    while (state === 'frozen' && !signal.aborted) await clock.sleep(1000, signal);
    if (signal.aborted) return fail({ kind: 'cancelled' });
    return fall.signal.aborted ? fail(gone) : ok(undefined);
  }

  async function upload(
    repository: { registry: string; repository: string },
    image: Image,
    signal: AbortSignal,
  ): Promise<Result<void>> {
    for (const blob of [image.config, image.layer]) {
      const descriptor = { digest: sha256(blob), size: blob.length };
      const put = await registry.putBlob(repository, descriptor, () => Readable.from([blob]), signal);
      if (!put.ok) return put;
    }
    return ok(undefined);
  }

  return {
    become(next) {
      state = next;
      if (next === 'dead') fall.abort();
      else if (fall.signal.aborted) fall = new AbortController();
    },
    async probe(signal) {
      const answered = await takes(1, signal);
      if (!answered.ok) return answered;
      return ok({ engine: 'docker', version: 'simulated', client: 'simulated', machine, cpus: options.cpus });
    },
    canRun: async () => ok(true),
    async build(request, onLine, signal) {
      const { durationMs, failure, stray } = options.onBuild(request);
      onLine(`#1 building for ${formatPlatform(request.platform)}`);
      const worked = await takes(durationMs, signal);
      if (!worked.ok) return worked;
      if (failure) return fail(failure);
      if (request.reference !== undefined) images.set(request.reference, imageOf(request, stray));
      return ok(undefined);
    },
    async push(reference, _options, onLine, signal) {
      const worked = await takes(50, signal);
      if (!worked.ok) return worked;
      const parsed = parseReference(reference);
      const image = images.get(reference);
      if (!parsed.ok || !image) return fail({ ...gone, transient: false, message: `no image ${reference}` });
      onLine(`pushing ${reference}`);
      const blobs = await upload(parsed.value, image, signal);
      if (!blobs.ok) return blobs;
      const put = await registry.putManifest(parsed.value, image.manifest, mediaTypes.ociManifest, signal);
      return put.ok ? ok({ digest: put.value.digest }) : put;
    },
    async run(request, _onLine, signal) {
      const worked = await takes(100, signal);
      if (!worked.ok) return worked;
      const failure = options.onRun(request);
      return failure ? fail(failure) : ok(undefined);
    },
    export: async () => fail({ ...gone, transient: false, message: 'a simulated engine has nothing to export' }),
    async untag(references) {
      for (const reference of references) images.delete(reference);
      return ok(undefined);
    },
  };
}

/** The same request gives the same image. */
function imageOf({ dockerfile, args, platform, target }: BuildRequest, stray: string | undefined): Image {
  const layer = Buffer.from(JSON.stringify([dockerfile, args, target ?? '', ...(stray === undefined ? [] : [stray])]));
  const config = Buffer.from(
    JSON.stringify({
      ...platform,
      config: {},
      rootfs: { type: 'layers', diff_ids: [sha256(layer)] },
      history: [{ created_by: 'simulated' }],
    }),
  );
  const descriptor = (mediaType: string, bytes: Uint8Array) => ({
    mediaType,
    digest: sha256(bytes),
    size: bytes.length,
  });
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      config: descriptor(mediaTypes.ociConfig, config),
      layers: [descriptor('application/vnd.oci.image.layer.v1.tar', layer)],
    }),
  );
  return { manifest, config, layer };
}
