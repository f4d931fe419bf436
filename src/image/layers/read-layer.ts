// The files of a layer without an engine: the blob streams from where it lies through its decompression and past the visitor. Nothing is
// written, nothing is run, and a layer that is made to do harm costs bounded memory and time.
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { type Failure, fail, ok, type Result, unreachable } from '../../failure.ts';
import type { Descriptor } from '../oci.ts';
import { type LayerStore, type Repository, streamFailure } from '../store.ts';
import { type TarLimits, TarReader, tarLimits, type Visit } from './tar.ts';
import { decompressZstd, lackOfZstd } from './zstd.ts';

export interface LayerLimits extends TarLimits {
  /** Decompressed bytes of the layer. */
  bytes: number;
  /** Decompressed bytes for one compressed, looked at from `ratioFrom` decompressed bytes on. gzip can't exceed 1,032. */
  ratio: number;
  ratioFrom: number;
}

const gibibyte = 2 ** 30;
export const layerLimits: LayerLimits = { ...tarLimits, bytes: 64 * gibibyte, ratio: 2000, ratioFrom: 4 * gibibyte };

export interface ReadLayer {
  entries: number;
  /** Decompressed. */
  bytes: number;
  /** Why the layer was not read, where that is no failure: it lies elsewhere, or holds no files. */
  skipped?: string;
}

type Compression = 'none' | 'gzip' | 'zstd';

/**
 * What a layer's media type says of its bytes (image-spec, layer.md; Docker's manifest schema 2); undefined for what holds no files, as
 * an attestation or another artifact does.
 */
function compressionOf(mediaType: string): Compression | undefined {
  const type =
    /^application\/vnd\.(?:oci\.image\.layer\.v1\.tar|docker\.image\.rootfs\.diff\.tar)(?:[+.](gzip|zstd))?$/.exec(
      mediaType,
    );
  if (!type) return undefined;
  const [, compression = 'none'] = type;
  return compression === 'gzip' || compression === 'zstd' ? compression : 'none';
}

function whySkipped(descriptor: Descriptor): string | undefined {
  const { mediaType } = descriptor;
  const urls = 'urls' in descriptor && Array.isArray(descriptor.urls) && descriptor.urls.length > 0;
  if (urls || /\.nondistributable\.|\.foreign\./.test(mediaType)) {
    return 'it is not distributable, so it lies elsewhere';
  }
  return compressionOf(mediaType) === undefined ? `it is no layer of files (${mediaType})` : undefined;
}

/**
 * Calls `visit` for each entry in the layer's order; it says which first bytes of a file it wants. A layer that is malformed or exceeds
 * a limit is a failure of kind 'verification' that names the layer; the store's own failures (network, digest, cancelled) are passed on.
 */
export async function readLayer(
  store: LayerStore,
  repository: Repository,
  descriptor: Descriptor,
  visit: Visit,
  signal: AbortSignal,
  limits: LayerLimits = layerLimits,
): Promise<Result<ReadLayer>> {
  const { digest, mediaType, size } = descriptor;
  const skipped = whySkipped(descriptor);
  const compression = compressionOf(mediaType);
  if (skipped !== undefined || compression === undefined) return ok({ entries: 0, bytes: 0, skipped: skipped ?? '' });
  const where = `${repository.registry}/${repository.repository} layer ${digest}`;
  const lack = compression === 'zstd' ? lackOfZstd(where) : undefined;
  if (lack) return fail(lack);
  const blob = await store.getBlob(repository, { digest, size }, signal);
  if (!blob.ok) return blob;
  let broken: unknown;
  blob.value.once('error', (error) => {
    broken = error;
  });
  const reader = new TarReader(visit, limits);
  let compressed = 0;
  let bytes = 0;
  let problem: string | undefined;
  let visiting = false;
  const counter = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      compressed += chunk.length;
      done(undefined, chunk);
    },
  });
  const read = async (chunks: AsyncIterable<Buffer>): Promise<void> => {
    for await (const chunk of chunks) {
      bytes += chunk.length;
      visiting = true;
      problem = reader.push(chunk) ?? tooMuch(bytes, compressed, limits);
      visiting = false;
      // Leaving the loop ends the streams before it.
      if (problem !== undefined) return;
    }
    problem = reader.finish();
    if (problem === undefined && compressed !== size)
      problem = 'there are bytes after the end of its compressed content';
  };
  try {
    switch (compression) {
      case 'none':
        await pipeline(blob.value, counter, read, { signal });
        break;
      case 'gzip':
        // Chunks of this size cost a third less time than Node's 16 KiB.
        await pipeline(blob.value, counter, createGunzip({ chunkSize: 128 << 10 }), read, { signal });
        break;
      case 'zstd':
        await pipeline(blob.value, counter, decompressZstd, read, { signal });
        break;
      default:
        unreachable(compression);
    }
  } catch (error) {
    const failure = visiting ? undefined : failureIn(broken ?? error, where, compression, signal);
    if (problem === undefined && failure !== undefined) return fail(failure);
    // A bug, of the visitor's or of this.
    if (problem === undefined) throw error;
  }
  if (problem !== undefined) return fail(malformed(problem, where));
  return ok({ entries: reader.entries, bytes });
}

function tooMuch(bytes: number, compressed: number, limits: LayerLimits): string | undefined {
  if (bytes > limits.bytes) return `more than ${limits.bytes / gibibyte} GiB of files`;
  if (bytes > limits.ratioFrom && bytes > compressed * limits.ratio) {
    return `${limits.ratio} times as many bytes as it has compressed: a bomb`;
  }
  return undefined;
}

/** undefined for what no stream is expected to end with. */
function failureIn(error: unknown, where: string, compression: Compression, signal: AbortSignal): Failure | undefined {
  if (signal.aborted) return { kind: 'cancelled' };
  const known = streamFailure(error);
  if (known) return known;
  if (!(error instanceof Error)) return undefined;
  const code = 'code' in error ? String(error.code) : '';
  if (/^(Z_|ZSTD_)/i.test(code)) {
    return malformed(`what is said to be ${compression} is not, or is damaged (${code})`, where);
  }
  return { kind: 'registry', transient: true, message: `the layer stopped coming: ${error.message}`, where };
}

function malformed(problem: string, where: string): Failure {
  return {
    kind: 'verification',
    message: `the layer can't be read: ${problem}`,
    where,
    help: 'build it again; if it was made by hand, make it with a tar that engines unpack',
  };
}
