// Frees what nothing of the embedded registry's layouts leads to any more. A registry that serves the folder is never beside it: it
// has the folder's lock, and so no upload is under way.
import { readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fail, ok, type Result } from '../../failure.ts';
import { type Digest, isIndexType } from '../../image/oci.ts';
import { manifestTypes, parseManifest } from '../manifest.ts';
import { errorCode } from './disk.ts';
import { readIndex } from './layout.ts';
import { lockFolder } from './lock.ts';

export interface Collected {
  blobs: number;
  /** What the files held; of a blob that several repositories share as one file, the room is free when the last one is gone. */
  bytes: number;
  /** Layouts in which something couldn't be read: all of their blobs stay. */
  left: string[];
}

/** Takes the lock of `root`, so it fails where a registry serves it. */
export async function collect(root: string): Promise<Result<Collected>> {
  const lock = await lockFolder(root);
  if (!lock.ok) return lock;
  const collected: Collected = { blobs: 0, bytes: 0, left: [] };
  try {
    for (const folder of await layoutsBelow(root)) {
      const needed = await neededBlobs(folder);
      if (needed) await removeOthers(join(folder, 'blobs'), needed, collected);
      else collected.left.push(folder);
    }
    return ok(collected);
  } catch (error) {
    if (errorCode(error) === undefined) throw error;
    return fail({
      kind: 'system',
      message: `blobs that nothing needs can't be removed: ${error instanceof Error ? error.message : String(error)}`,
      where: root,
    });
  } finally {
    await lock.value();
  }
}

/** Repositories may lie in each other's folders: `team/app` in that of `team`. */
async function layoutsBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const isLayout = entries.some((entry) => entry.name === 'index.json' && entry.isFile());
  const found = isLayout ? [folder] : [];
  for (const entry of entries) {
    if (!entry.isDirectory() || entry.name.startsWith('.') || entry.name === 'blobs') continue;
    found.push(...(await layoutsBelow(join(folder, entry.name))));
  }
  return found;
}

/** Undefined where a manifest is there that can't be read: what it needs isn't known. */
async function neededBlobs(folder: string): Promise<Set<Digest> | undefined> {
  const entries = await readIndex(join(folder, 'index.json')).catch(() => undefined);
  if (!entries) return undefined;
  const needed = new Set<Digest>();
  const queue = [...entries];
  for (let entry = queue.pop(); entry; entry = queue.pop()) {
    if (needed.has(entry.digest)) continue;
    needed.add(entry.digest);
    if (!manifestTypes.includes(entry.mediaType)) continue;
    const [algorithm = '', hash = ''] = entry.digest.split(':');
    let bytes: Uint8Array;
    try {
      bytes = await readFile(join(folder, 'blobs', algorithm, hash));
    } catch (error) {
      // Of what isn't there, nothing can be needed.
      if (errorCode(error) === 'ENOENT') continue;
      return undefined;
    }
    const parsed = parseManifest(bytes, entry.mediaType, entry.digest);
    if (!parsed.ok || isIndexType(parsed.value.mediaType) !== isIndexType(entry.mediaType)) return undefined;
    const { index, manifest } = parsed.value;
    queue.push(...(index?.manifests ?? []), ...(manifest ? [manifest.config, ...manifest.layers] : []));
  }
  return needed;
}

async function removeOthers(blobs: string, needed: ReadonlySet<Digest>, collected: Collected): Promise<void> {
  for (const algorithm of await readdir(blobs).catch(() => [])) {
    const folder = join(blobs, algorithm);
    for (const hash of await readdir(folder)) {
      // Drafts of a process that was killed are among what nothing needs.
      if (needed.has(`${algorithm}:${hash}`)) continue;
      const file = join(folder, hash);
      const { size } = await stat(file);
      await rm(file);
      collected.blobs += 1;
      collected.bytes += size;
    }
  }
}
