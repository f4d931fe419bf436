// What an image's config tells the engine that runs it, as named facts that can be compared (image-spec, config.md#properties).
import { z } from 'zod';
import { fail, ok, type Result } from '../../failure.ts';
import type { Manifest } from '../oci.ts';
import type { ImageStore, Repository } from '../store.ts';

export type ConfigArea =
  | 'environment'
  | 'entrypoint'
  | 'command'
  | 'user'
  | 'working folder'
  | 'port'
  | 'volume'
  | 'stop signal'
  | 'health check'
  | 'label';

export interface ConfigFact {
  area: ConfigArea;
  /** Of a variable, a label, a port, a volume; empty where an image has only one such. */
  name: string;
  value: string;
}

const strings = z.array(z.string()).nullish();
const keys = z.record(z.string(), z.unknown()).nullish();
const configSchema = z.looseObject({
  config: z
    .looseObject({
      User: z.string().nullish(),
      Env: strings,
      Entrypoint: strings,
      Cmd: strings,
      WorkingDir: z.string().nullish(),
      ExposedPorts: keys,
      Volumes: keys,
      StopSignal: z.string().nullish(),
      Labels: z.record(z.string(), z.string()).nullish(),
      // Docker's own, https://github.com/moby/docker-image-spec
      Healthcheck: z.unknown().optional(),
    })
    .nullish(),
});

/** What is empty is as what is absent: engines write either. */
export async function readConfigFacts(
  store: ImageStore,
  repository: Repository,
  manifest: Manifest,
  signal: AbortSignal,
): Promise<Result<ConfigFact[]>> {
  const { digest } = manifest.config;
  const bytes = await store.readBlob(repository, digest, signal);
  if (!bytes.ok) return bytes;
  const parsed = configSchema.safeParse(parseJson(Buffer.from(bytes.value).toString('utf8')));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    return fail({
      kind: 'verification',
      message: `the image config is not as the image-spec says: ${issue?.path.slice(0, 2).join('.')}: ${issue?.message}`,
      where: `${repository.registry}/${repository.repository} config ${digest}`,
    });
  }
  const config = parsed.data.config ?? undefined;
  const facts: ConfigFact[] = [];
  const add = (area: ConfigArea, name: string, value: string | null | undefined): void => {
    if (value !== null && value !== undefined && value !== '') facts.push({ area, name, value });
  };
  for (const entry of config?.Env ?? []) {
    const equals = entry.indexOf('=');
    const name = equals < 0 ? entry : entry.slice(0, equals);
    // An empty value is not no value, in an environment.
    facts.push({ area: 'environment', name, value: equals < 0 ? '' : entry.slice(equals + 1) });
  }
  add('entrypoint', '', config?.Entrypoint?.length ? JSON.stringify(config?.Entrypoint) : undefined);
  add('command', '', config?.Cmd?.length ? JSON.stringify(config?.Cmd) : undefined);
  add('user', '', config?.User);
  // No working folder is the root.
  add('working folder', '', config?.WorkingDir === '/' ? undefined : config?.WorkingDir);
  // A port without a protocol is one of TCP.
  for (const port of Object.keys(config?.ExposedPorts ?? {}))
    add('port', port.includes('/') ? port : `${port}/tcp`, 'exposed');
  for (const volume of Object.keys(config?.Volumes ?? {})) add('volume', volume, 'declared');
  add('stop signal', '', config?.StopSignal);
  add('health check', '', config?.Healthcheck ? JSON.stringify(config?.Healthcheck) : undefined);
  for (const [name, value] of Object.entries(config?.Labels ?? {})) facts.push({ area: 'label', name, value });
  return ok(facts);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
