// Facts of layers that were read before, a file each in a folder. They are found by digest and never change; a file that can't be read or
// is of another version is as none, for the layer can be read again.
import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Digest, digestSchema } from '../oci.ts';
import { type LayerFacts, parseFacts, writeFacts } from './layer-facts.ts';

export interface AuditCache {
  read(layer: Digest): Promise<LayerFacts | undefined>;
  write(layer: Digest, facts: LayerFacts): Promise<void>;
}

/** The folder is made when something is written. What can't be written is not kept, and stops no audit. */
export function createAuditCache(folder: string): AuditCache {
  const fileOf = (layer: Digest) => join(folder, `${digestSchema.parse(layer).replace(':', '-')}.json`);
  return {
    read: async (layer) => {
      try {
        return parseFacts(await readFile(fileOf(layer), 'utf8'));
      } catch {
        return undefined;
      }
    },
    write: async (layer, facts) => {
      const file = fileOf(layer);
      // Whoever reads meanwhile sees nothing or all of it.
      const draft = `${file}.${randomUUID()}`;
      try {
        await mkdir(folder, { recursive: true });
        await writeFile(draft, writeFacts(facts));
        await rename(draft, file);
      } catch {
        await rm(draft, { force: true }).catch(() => undefined);
      }
    },
  };
}
