// Unpacks layers into files beside the archive, as a tar wants the size of what comes before it comes; several at a time.
import { createReadStream } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import type { ImageSource } from '../copy/store.ts';
import { createTurns } from '../copy/turns.ts';
import { type Failure, fail, ok, type Result } from '../failure.ts';
import { layerLimits } from '../image/layers/read-layer.ts';
import { decompressZstd, lackOfZstd } from '../image/layers/zstd.ts';
import type { Descriptor, Digest } from '../image/oci.ts';
import { formatReference, type Reference } from '../image/reference.ts';
import { streamFailure } from '../image/store.ts';
import { hashFor } from '../registry/digest.ts';
import type { Unpack } from './docker-archive.ts';
import { createGatherer, gathered } from './gather.ts';

export interface UnpackedLayer {
  /** Bytes. */
  size: number;
  /** Its chunks are read from a file for the one who asks. */
  passing: true;
  open(signal: AbortSignal): Promise<Result<Readable>>;
}

type Compression = 'none' | 'gzip' | 'zstd';

/** image-spec, layer.md, and Docker's schema 2: what is not said to be compressed is a plain tar. */
export function compressionOf(mediaType: string): Compression {
  if (/[+.]gzip$/.test(mediaType)) return 'gzip';
  return /[+.]zstd$/.test(mediaType) ? 'zstd' : 'none';
}

const layersAtATime = 3;

/** Unpacks into `folder`, which the caller makes and removes. */
export function createUnpack(store: ImageSource, folder: string): Unpack {
  const turns = createTurns(layersAtATime);
  return (image, { descriptor, diffId }, signal) =>
    turns.take(async () => {
      const file = join(folder, diffId.replace(':', '-'));
      const size = await unpackLayer(store, image.reference, descriptor, diffId, file, signal);
      if (!size.ok) return size;
      const open = async (): Promise<Result<Readable>> => {
        const stream = createReadStream(file, { highWaterMark: gathered });
        // What is in the archive needn't take room twice.
        stream.once('close', () => void rm(file, { force: true }).catch(() => undefined));
        return ok(stream);
      };
      return ok({ size: size.value, passing: true, open });
    }, signal);
}

async function unpackLayer(
  store: ImageSource,
  reference: Reference,
  descriptor: Descriptor,
  diffId: Digest,
  file: string,
  signal: AbortSignal,
): Promise<Result<number>> {
  const where = `${formatReference(reference)} layer ${descriptor.digest}`;
  const compression = compressionOf(descriptor.mediaType);
  const lack = compression === 'zstd' ? lackOfZstd(where) : undefined;
  if (lack) return fail(lack);
  const blob = await store.getBlob(reference, descriptor, signal);
  if (!blob.ok) return blob;
  let broken: unknown;
  blob.value.once('error', (error) => {
    broken = error;
  });
  const { algorithm, hash } = hashFor(diffId);
  let size = 0;
  let tooMuch = false;
  try {
    const handle = await open(file, 'w');
    const save = async (chunks: AsyncIterable<Buffer>): Promise<void> => {
      const gatherer = createGatherer(handle);
      try {
        for await (const chunk of chunks) {
          size += chunk.length;
          if (size > layerLimits.bytes) {
            tooMuch = true;
            return;
          }
          hash.update(chunk);
          await gatherer.put([chunk], compression === 'none' ? [] : [chunk]);
        }
        await gatherer.end();
      } finally {
        await gatherer.settle();
      }
    };
    try {
      // Larger chunks than Node's 16 KiB cost a third less time.
      const unzip = compression === 'gzip' ? createGunzip({ chunkSize: 256 << 10 }) : decompressZstd;
      if (compression === 'none') await pipeline(blob.value, save, { signal });
      else await pipeline(blob.value, unzip, save, { signal });
    } finally {
      await handle.close();
    }
  } catch (error) {
    return fail(failureIn(broken ?? error, where, compression, signal));
  }
  if (tooMuch) return fail(wrong(`the layer unpacks to more than ${layerLimits.bytes} bytes`, where));
  const got = `${algorithm}:${hash.digest('hex')}`;
  if (got !== diffId) {
    return fail(wrong(`the layer's content has digest ${got}, and the image's config says ${diffId}`, where));
  }
  return ok(size);
}

function failureIn(error: unknown, where: string, compression: Compression, signal: AbortSignal): Failure {
  if (signal.aborted) return { kind: 'cancelled' };
  const known = streamFailure(error);
  if (known) return known;
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (/^(Z_|ZSTD_)/i.test(code))
    return wrong(`what is said to be ${compression} is not, or is damaged (${code})`, where);
  const words = error instanceof Error ? error.message : String(error);
  return { kind: 'system', message: `the layer can't be unpacked: ${words}`, where };
}

function wrong(message: string, where: string): Failure {
  return { kind: 'verification', message, where, help: 'build the image again, and push it' };
}
