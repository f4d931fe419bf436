// Exports images as one archive, straight from where they lie: no engine unpacks and packs them again. The archive is there whole under its
// name, or not at all.
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, open, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import type { Writable } from 'node:stream';
import type { ImageSource } from '../copy/store.ts';
import { type Failure, fail, ok, type Result } from '../failure.ts';
import type { ArchiveFile } from './archive.ts';
import { dockerFiles, type Unpack } from './docker-archive.ts';
import { type Compression, canCompress, encodingOf } from './encoding.ts';
import { ociFiles } from './oci-archive.ts';
import { readForDocker, readForOci, type Wanted } from './read-images.ts';
import { createUnpack } from './unpack.ts';
import { type Sink, writeArchive } from './write-archive.ts';

export type ArchiveFormat = 'docker-archive' | 'oci-archive';

export interface ExportOptions {
  format: ArchiveFormat;
  compression: Compression;
  /** Of a docker-archive: layers of gzip as they are, or as plain tars. */
  layers: 'kept' | 'unpacked';
}

/** By the file's name; undefined where it tells nothing. */
export function compressionBy(file: string): Compression | undefined {
  if (/\.(tar\.gz|tgz)$/.test(file)) return 'gzip';
  if (/\.(tar\.zst|tzst)$/.test(file)) return 'zstd';
  return file.endsWith('.tar') ? 'none' : undefined;
}

/** Writes the archive to a file, or to a stream; gives its size in bytes. */
export async function exportImages(
  store: ImageSource,
  wanted: readonly Wanted[],
  to: { file: string } | { stream: Writable },
  options: ExportOptions,
  signal: AbortSignal,
): Promise<Result<number>> {
  const able = canCompress(options.compression);
  if (!able.ok) return able;
  const file = 'file' in to ? resolve(to.file) : undefined;
  const folder = file === undefined ? tmpdir() : dirname(file);
  const scratch = join(folder, `.splitbuild-export-${randomBytes(6).toString('hex')}`);
  const stop = new AbortController();
  const inner = AbortSignal.any([signal, stop.signal]);
  const unpacking: Promise<unknown>[] = [];
  try {
    await mkdir(folder, { recursive: true });
    await mkdir(scratch);
    const unpack = createUnpack(store, await mkdtemp(join(scratch, 'layers-')));
    const noted: Unpack = (...args) => {
      const done = unpack(...args);
      unpacking.push(done);
      return done;
    };
    const files = await filesOf(store, wanted, options, noted, inner);
    if (!files.ok) return files;
    const encoding = encodingOf(options.compression);
    if ('stream' in to) return await writeArchive(files.value, encoding, { kind: 'stream', stream: to.stream }, inner);
    const draft = join(scratch, basename(file ?? ''));
    const handle = await open(draft, 'wx');
    let written: Result<number>;
    try {
      const sink: Sink = { kind: 'file', handle, file: to.file };
      written = await writeArchive(files.value, encoding, sink, inner);
    } finally {
      await handle.close();
    }
    if (written.ok) await rename(draft, file ?? draft);
    return written;
  } catch (error) {
    return fail(unwritable(error, file ?? folder));
  } finally {
    stop.abort();
    await Promise.all(unpacking);
    await rm(scratch, { recursive: true, force: true });
  }
}

async function filesOf(
  store: ImageSource,
  wanted: readonly Wanted[],
  options: ExportOptions,
  unpack: Unpack,
  signal: AbortSignal,
): Promise<Result<ArchiveFile[]>> {
  if (options.format === 'oci-archive') {
    const images = await inOrder(wanted, (one) => readForOci(store, one, signal));
    return images.ok ? ok(ociFiles(store, images.value)) : images;
  }
  const images = await inOrder(wanted, (one) => readForDocker(store, one, signal));
  if (!images.ok) return images;
  return ok(dockerFiles(store, images.value, options.layers, unpack, signal));
}

async function inOrder<T, U>(items: readonly T[], read: (item: T) => Promise<Result<U>>): Promise<Result<U[]>> {
  const all: U[] = [];
  for (const item of items) {
    const one = await read(item);
    if (!one.ok) return one;
    all.push(one.value);
  }
  return ok(all);
}

function unwritable(error: unknown, where: string): Failure {
  const words = error instanceof Error ? error.message : String(error);
  return { kind: 'system', message: `the archive can't be written: ${words}`, where };
}
