// What `splitbuild plan` tells of builds: whether each is there already, and if not, why. The registry is read and not written to; an
// embedded one that nobody has used yet is not made for it.
import { access } from 'node:fs/promises';
import { resolve } from 'node:path';
import { systemClock } from '../clock.ts';
import { ok, type Result } from '../failure.ts';
import { rememberedRegistry } from '../registry/remembered.ts';
import { createInputReader } from '../run/build-inputs.ts';
import { openChecks } from '../run/checks.ts';
import { gateFileReader } from '../run/gate.ts';
import { openParts } from '../run/keys-parts.ts';
import { type Explained, explainBuilds } from '../run/why.ts';
import { createClient } from './client.ts';
import type { Loaded } from './load.ts';
import { type OpenRegistry, openRegistry } from './open-registry.ts';

export async function whyBuilds(
  { config, plan }: Pick<Loaded, 'config' | 'plan'>,
  state: string,
  signal: AbortSignal,
): Promise<Result<Explained>> {
  const used = config.registry.kind === 'remote' || (await exists(resolve(state, 'registry')));
  const registry = used ? await openRegistry(config, state, () => undefined) : nothingThere(config);
  if (!registry.ok) return registry;
  const { client, address, close } = registry.value;
  try {
    const remembered = rememberedRegistry(client);
    const absent = { ...remembered, headManifest: async () => ok(undefined) };
    return await explainBuilds(
      plan,
      {
        registry: used ? remembered : absent,
        registryAddress: address,
        clock: systemClock,
        readInputs: createInputReader({
          tasks: plan.tasks.flatMap((task) => (task.kind === 'build' ? [task] : [])),
          cache: resolve(state, 'contexts'),
          registry: client,
          clock: systemClock,
          signal,
        }),
        parts: openParts(resolve(state, 'keys')),
        checked: openChecks(resolve(state, 'checked')),
        gateFiles: gateFileReader(config.folder),
      },
      signal,
    );
  } finally {
    await close();
  }
}

function nothingThere(config: Loaded['config']): Result<OpenRegistry> {
  const reach = createClient(config);
  if (!reach.ok) return reach;
  return ok({ client: reach.value.client, address: '', plainHttp: true, close: async () => undefined });
}

async function exists(folder: string): Promise<boolean> {
  return access(folder).then(
    () => true,
    () => false,
  );
}
