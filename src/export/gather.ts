// Writes a file in large pieces: small chunks are gathered, and one write is under way while the bytes of the next one come.
import type { FileHandle } from 'node:fs/promises';
import { release } from './release.ts';

/** Bytes gathered for one write. */
export const gathered = 1 << 20;

export interface Gatherer {
  /** Takes parts to where the last ones ended; `spent` is chunks that are released once the parts are written. */
  put(parts: readonly Uint8Array[], spent?: readonly Uint8Array[]): Promise<void>;
  /** Writes what is left. */
  end(): Promise<void>;
  /** Waits for the write that is under way, however it ends: after a failure, before the file is closed. */
  settle(): Promise<void>;
}

/** From position `start` on. */
export function createGatherer(handle: FileHandle, start = 0): Gatherer {
  let position = start;
  let size = 0;
  let waiting: Uint8Array[] = [];
  let spending: Uint8Array[] = [];
  let writing: Promise<void> = Promise.resolve();
  const flush = async (): Promise<void> => {
    await writing;
    writing = write(handle, waiting, position, spending);
    // Looked at when it is awaited; here only so that it is never nobody's.
    writing.catch(() => undefined);
    position += size;
    size = 0;
    waiting = [];
    spending = [];
  };
  return {
    put: async (parts, spent = []) => {
      for (const part of parts) {
        waiting.push(part);
        size += part.length;
      }
      spending.push(...spent);
      if (size >= gathered) await flush();
    },
    end: async () => {
      await flush();
      await writing;
    },
    settle: () => writing.catch(() => undefined),
  };
}

async function write(handle: FileHandle, parts: Uint8Array[], start: number, spent: Uint8Array[]): Promise<void> {
  await writeAll(handle, parts, start);
  for (const chunk of spent) release(chunk);
}

export async function writeAll(handle: FileHandle, parts: readonly Uint8Array[], start: number): Promise<void> {
  let position = start;
  let rest = parts.filter(({ length }) => length > 0);
  // Within what the system takes at once (IOV_MAX).
  while (rest.length > 0) {
    const batch = rest.slice(0, 1000);
    const { bytesWritten } = await handle.writev(batch, position);
    position += bytesWritten;
    rest = [...after(batch, bytesWritten), ...rest.slice(batch.length)];
  }
}

function after(parts: Uint8Array[], written: number): Uint8Array[] {
  let missing = written;
  return parts.flatMap((part) => {
    const skipped = Math.min(part.length, missing);
    missing -= skipped;
    return skipped === part.length ? [] : [part.subarray(skipped)];
  });
}
