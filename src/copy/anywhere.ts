// One source and one target for all places: a registry by its client, and where the registry's name says so, a layout on disk.
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import type { Reference } from '../image/reference.ts';
import type { RegistryClient } from '../registry/client.ts';
import { repositoryFolder } from '../registry/embedded/layout.ts';
import { layoutSource, layoutTarget } from './layout.ts';
import type { ImageSource, ImageTarget } from './store.ts';

/** What stands for a host in references to the embedded registry, whose layouts are read without it. No host is called so. */
export const embeddedName = 'embedded:';
/** Before a folder, in references to a layout. */
export const layoutPrefix = 'oci:';

/** `embeddedRoot`: the folder of the embedded registry's layouts. */
export function sourceAnywhere(client: RegistryClient, embeddedRoot: string): ImageSource {
  const at = (registry: string): ImageSource => {
    if (registry === embeddedName) return embedded;
    if (!registry.startsWith(layoutPrefix)) return client;
    return layoutSource(() => registry.slice(layoutPrefix.length));
  };
  const embedded = layoutSource((repository) => repositoryFolder(embeddedRoot, repository));
  return {
    getManifest: (reference, signal) => at(reference.registry).getManifest(reference, signal),
    hasBlob: (repository, digest, signal) => at(repository.registry).hasBlob(repository, digest, signal),
    readBlob: (repository, digest, signal) => at(repository.registry).readBlob(repository, digest, signal),
    getBlob: (repository, blob, signal) => at(repository.registry).getBlob(repository, blob, signal),
    listTags: (repository, signal) => at(repository.registry).listTags(repository, signal),
    listReferrers: (repository, digest, signal) => at(repository.registry).listReferrers(repository, digest, signal),
  };
}

/** `close` puts the layouts in order that were written to. */
export function targetAnywhere(client: RegistryClient): ImageTarget & { close(): Promise<void> } {
  const layouts = new Map<string, ReturnType<typeof layoutTarget>>();
  const at = (registry: string): ImageTarget => {
    if (!registry.startsWith(layoutPrefix)) return client;
    const layout = layouts.get(registry) ?? layoutTarget(registry.slice(layoutPrefix.length));
    layouts.set(registry, layout);
    return layout;
  };
  return {
    headManifest: (reference, signal) => at(reference.registry).headManifest(reference, signal),
    putManifest: (reference, bytes, type, signal) => at(reference.registry).putManifest(reference, bytes, type, signal),
    hasBlob: (repository, digest, signal) => at(repository.registry).hasBlob(repository, digest, signal),
    putBlob: (repository, blob, open, signal) => at(repository.registry).putBlob(repository, blob, open, signal),
    mountBlob: (to, digest, from, signal) => at(to.registry).mountBlob(to, digest, from, signal),
    close: async () => {
      await Promise.all([...layouts.values()].map((layout) => layout.close()));
    },
  };
}

/** A reference without a host means the embedded registry where that has such a repository, and Docker Hub otherwise. */
export async function inEmbedded(reference: Reference, embeddedRoot: string): Promise<Reference> {
  if (reference.registry !== 'docker.io') return reference;
  // A name without a host was given Docker Hub's `library/`.
  for (const repository of new Set([reference.repository, reference.repository.replace(/^library\//, '')])) {
    const there = await access(join(repositoryFolder(embeddedRoot, repository), 'index.json')).then(
      () => true,
      () => false,
    );
    if (there) return { ...reference, registry: embeddedName, repository };
  }
  return reference;
}
