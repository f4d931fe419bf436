// Writing so that a crash or a full disk leaves either the old state or the new one, never a half.
import { randomBytes } from 'node:crypto';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';

/** Makes a directory's entries (a rename, a new file) survive a power cut. */
export async function syncFolder(folder: string): Promise<void> {
  // Windows doesn't open folders, and its NTFS journals renames.
  if (process.platform === 'win32') return;
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * Writes a file in one step: whoever reads sees all of it or what was there before. Until then it lies in `drafts`, a folder of the same file
 * system that is swept when the next process begins.
 */
export async function writeWhole(file: string, content: string | Uint8Array, drafts: string): Promise<void> {
  const draft = join(drafts, `draft-${randomBytes(8).toString('hex')}`);
  try {
    const handle = await open(draft, 'wx');
    try {
      await handle.writeFile(content);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(draft, file);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
  await syncFolder(dirname(file));
}

/**
 * mkdir -p below `root`, made durable, for whoever asks: not only for the one who made it and is still at that. `durable` has what this process
 * knows to be: what another one left may not be on the disk yet.
 */
export async function makeFolder(root: string, folder: string, durable: Map<string, Promise<void>>): Promise<void> {
  const made = await mkdir(folder, { recursive: true });
  const known = made === undefined ? durable.get(folder) : undefined;
  const synced = known ?? syncUpTo(root, folder);
  durable.set(folder, synced);
  try {
    await synced;
  } catch (error) {
    durable.delete(folder);
    throw error;
  }
}

/** Syncs a folder and those above it, up to `root`. */
export async function syncUpTo(root: string, folder: string): Promise<void> {
  for (let at = folder; !relative(root, at).startsWith('..'); at = dirname(at)) {
    await syncFolder(at);
    if (at === root || at === dirname(at)) break;
  }
}

export function errorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
