// What an image layout lists, tags or not: the embedded registry's folders tell more than registries do.
import { stat } from 'node:fs/promises';
import type { Digest } from '../image/oci.ts';
import { openLayouts } from '../registry/embedded/layout.ts';

/** Manifests without a tag, with the ms since the epoch when they were last pushed. */
export async function listUntagged(root: string, repository: string): Promise<Map<Digest, number>> {
  const layout = openLayouts(root, true)(repository);
  const untagged = new Map<Digest, number>();
  for (const entry of (await layout.entries()) ?? []) {
    if (entry.annotations?.['org.opencontainers.image.ref.name'] !== undefined) continue;
    const file = await stat(layout.blobFile(entry.digest)).catch(() => undefined);
    if (file) untagged.set(entry.digest, file.mtimeMs);
  }
  return untagged;
}
