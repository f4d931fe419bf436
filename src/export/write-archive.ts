// Writes an archive. Where all sizes are known before (nothing is compressed here), every content goes to its own place in the file as it
// comes, several at a time; elsewhere all goes in order, with the next contents on their way already.
import type { FileHandle } from 'node:fs/promises';
import { PassThrough, type Readable, type Writable } from 'node:stream';
import { crc32 } from 'node:zlib';
import { type Failure, fail, ok, type Result } from '../failure.ts';
import { streamFailure } from '../image/store.ts';
import { StreamFailure } from '../registry/refusal.ts';
import {
  type ArchiveFile,
  isKnown,
  type Segment,
  type StreamedContent,
  segmentsLater,
  segmentsOf,
  sizeOf,
} from './archive.ts';
import { compressed } from './blocks.ts';
import { combineCrc32 } from './crc.ts';
import type { Encoding } from './encoding.ts';
import { createGatherer, writeAll } from './gather.ts';
import { release } from './release.ts';

export type Sink = { kind: 'file'; handle: FileHandle; file: string } | { kind: 'stream'; stream: Writable };

/** Contents on their way at a time. */
const width = 4;
/** Bytes that a content which comes later may be ahead. */
const ahead = 8 << 20;

/** Gives the archive's size in bytes. What has been written of it when this fails is of no use. */
export async function writeArchive(
  files: readonly ArchiveFile[],
  encoding: Encoding,
  sink: Sink,
  signal: AbortSignal,
): Promise<Result<number>> {
  const stop = new AbortController();
  const inner = AbortSignal.any([signal, stop.signal]);
  const known = files.filter(isKnown);
  const segments = known.length === files.length ? segmentsOf(known) : [];
  const placed = segments.length > 0 && segments.every((segment) => !deflates(segment, encoding));
  try {
    const size =
      placed && sink.kind === 'file'
        ? await writeAtOffsets(segments, encoding, sink.handle, inner, stop)
        : await writeInOrder(files, encoding, sink, inner);
    return ok(size);
  } catch (error) {
    if (signal.aborted) return fail({ kind: 'cancelled' });
    return fail(streamFailure(error) ?? unwritten(error, sink));
  } finally {
    stop.abort();
  }
}

function deflates(segment: Segment, { blockSize }: Encoding): boolean {
  return blockSize !== undefined && !(segment instanceof Uint8Array) && segment.deflates;
}

async function writeAtOffsets(
  segments: readonly Segment[],
  encoding: Encoding,
  handle: FileHandle,
  signal: AbortSignal,
  stop: AbortController,
): Promise<number> {
  const placed: { segment: Segment; position: number }[] = [];
  let end = encoding.begin.length;
  for (const segment of segments) {
    placed.push({ segment, position: end });
    end += encoding.storedSize(sizeOf(segment));
  }
  await writeAll(handle, [encoding.begin], 0);
  const crcs = new Map<Segment, number>();
  const queue = placed.values();
  let failure: unknown;
  await Promise.all(
    Array.from({ length: width }, async () => {
      for (const { segment, position } of queue) {
        if (failure !== undefined) return;
        try {
          crcs.set(segment, await writeSegment(segment, encoding, handle, position, signal));
        } catch (error) {
          failure ??= error;
          stop.abort();
        }
      }
    }),
  );
  if (failure !== undefined) throw failure;
  let crc = 0;
  let size = 0;
  for (const segment of encoding.needsCrc ? segments : []) {
    crc = combineCrc32(crc, crcs.get(segment) ?? 0, sizeOf(segment));
    size += sizeOf(segment);
  }
  const trailer = encoding.end(crc, size);
  await writeAll(handle, [trailer], end);
  return end + trailer.length;
}

/** Gives the content's CRC where one is wanted. */
async function writeSegment(
  segment: Segment,
  encoding: Encoding,
  handle: FileHandle,
  start: number,
  signal: AbortSignal,
): Promise<number> {
  const frame = encoding.store(sizeOf(segment));
  const gatherer = createGatherer(handle, start);
  let crc = 0;
  try {
    for await (const chunk of chunksOf(segment, signal)) {
      if (encoding.needsCrc) crc = crc32(chunk, crc);
      await gatherer.put(frame(chunk));
    }
    await gatherer.end();
  } finally {
    await gatherer.settle();
  }
  return crc;
}

async function writeInOrder(
  files: readonly ArchiveFile[],
  encoding: Encoding,
  sink: Sink,
  signal: AbortSignal,
): Promise<number> {
  const opened = openAhead(files, signal);
  const gatherer = sink.kind === 'file' ? createGatherer(sink.handle) : undefined;
  let written = 0;
  const put = async (parts: Uint8Array[], spent: Uint8Array[] = []): Promise<void> => {
    for (const part of parts) written += part.length;
    if (gatherer) await gatherer.put(parts, spent);
    else if (sink.kind === 'stream') for (const part of parts) await push(sink.stream, part);
  };
  let crc = 0;
  let size = 0;
  try {
    await put([encoding.begin]);
    for await (const segment of segmentsLater(files)) {
      const deflated = deflates(segment, encoding);
      const passing = !(segment instanceof Uint8Array) && segment.passing === true;
      const chunks = counted((await opened(segment)) ?? chunksOf(segment, signal), {
        see: (chunk) => {
          if (encoding.needsCrc) crc = crc32(chunk, crc);
          size += chunk.length;
        },
        // Compression takes a copy.
        seen: (chunk) => {
          if (passing && deflated) release(chunk);
        },
      });
      if (deflated) {
        for await (const part of compressed(chunks, encoding)) await put([part], [part]);
      } else {
        const frame = encoding.store(sizeOf(segment));
        for await (const chunk of chunks) await put(frame(chunk), passing ? [chunk] : []);
      }
    }
    await put([encoding.end(crc, size)]);
    await gatherer?.end();
  } finally {
    await gatherer?.settle();
  }
  return written;
}

/** Opens contents before it is their turn, and keeps some of their first bytes. Those that are still waited for have theirs on disk. */
function openAhead(
  files: readonly ArchiveFile[],
  signal: AbortSignal,
): (segment: Segment) => Promise<AsyncIterable<Uint8Array> | undefined> {
  const waiting = files
    .filter(isKnown)
    .flatMap(({ content }) => (content instanceof Uint8Array || content.size === 0 ? [] : [content]))
    .values();
  const streams = new Map<Segment, Promise<Readable | StreamFailure>>();
  const openNext = (): void => {
    const next = waiting.next();
    if (!next.done) streams.set(next.value, buffered(next.value, signal));
  };
  for (let count = 0; count < width; count += 1) openNext();
  return async (segment) => {
    const stream = await streams.get(segment);
    streams.delete(segment);
    if (stream instanceof StreamFailure) throw stream;
    if (stream) openNext();
    return stream;
  };
}

async function buffered(content: StreamedContent, signal: AbortSignal): Promise<Readable | StreamFailure> {
  const opened = await content.open(signal);
  if (!opened.ok) return new StreamFailure(opened.failure);
  const buffer = new PassThrough({ highWaterMark: ahead });
  opened.value.on('error', (error) => buffer.destroy(error));
  signal.addEventListener('abort', () => opened.value.destroy(new StreamFailure({ kind: 'cancelled' })), {
    once: true,
  });
  // Its reader may come later than its error.
  buffer.on('error', () => undefined);
  return opened.value.pipe(buffer);
}

async function* chunksOf(segment: Segment, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  if (segment instanceof Uint8Array) {
    yield segment;
    return;
  }
  const opened = await segment.open(signal);
  if (!opened.ok) throw new StreamFailure(opened.failure);
  yield* opened.value;
}

/** `see` is told of a chunk before it is given out, `seen` once it has been worked on. */
async function* counted(
  chunks: AsyncIterable<Uint8Array>,
  { see, seen }: Record<'see' | 'seen', (chunk: Uint8Array) => void>,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) {
    see(chunk);
    yield chunk;
    seen(chunk);
  }
}

async function push(stream: Writable, part: Uint8Array): Promise<void> {
  if (part.length === 0) return;
  // A stream that is destroyed may forget the write that it was at.
  await new Promise<void>((resolve, reject) => {
    const gone = (error?: Error): void => reject(error ?? new Error('its reader is gone'));
    stream.once('error', gone);
    stream.once('close', gone);
    stream.write(part, (error) => {
      stream.off('error', gone);
      stream.off('close', gone);
      if (error) reject(error);
      else resolve();
    });
  });
}

function unwritten(error: unknown, sink: Sink): Failure {
  const words = error instanceof Error ? error.message : String(error);
  return {
    kind: 'system',
    message: `the archive can't be written: ${words}`,
    where: sink.kind === 'file' ? sink.file : 'standard output',
  };
}
