// An archive before it is written: files in their order, and the one run of bytes that they make.
import type { Readable } from 'node:stream';
import type { Result } from '../failure.ts';
import { StreamFailure } from '../registry/refusal.ts';
import { endOfTar, fileHeader, padding } from './tar.ts';

/** Bytes that come from elsewhere; their stream checks them and ends with a StreamFailure where they are wrong. */
export interface StreamedContent {
  /** Bytes. */
  size: number;
  /** False where they are compressed already, so that compressing them again is wasted. */
  deflates: boolean;
  /** Its chunks are nobody else's: they may be released when they have been written. */
  passing?: boolean;
  open(signal: AbortSignal): Promise<Result<Readable>>;
}

export interface ArchiveFile {
  name: string;
  /** A promise where even the size is known only later. */
  content: Uint8Array | StreamedContent | Promise<Result<StreamedContent>>;
}

/** A file whose size is known. */
export type KnownFile = ArchiveFile & { content: Uint8Array | StreamedContent };

export type Segment = Uint8Array | StreamedContent;

export function isKnown(file: ArchiveFile): file is KnownFile {
  return !(file.content instanceof Promise);
}

/** The tar of these files: bytes that are known, and contents between them that are not yet. */
export function segmentsOf(files: readonly KnownFile[]): Segment[] {
  const collected = collector();
  const segments = files.flatMap(({ name, content }) => collected.add(name, content));
  return [...segments, ...collected.end()];
}

/** The same of files of which some are waited for; one that fails throws a StreamFailure. */
export async function* segmentsLater(files: readonly ArchiveFile[]): AsyncGenerator<Segment> {
  const collected = collector();
  for (const { name, content } of files) {
    if (!(content instanceof Promise)) yield* collected.add(name, content);
    else {
      const settled = await content;
      if (!settled.ok) throw new StreamFailure(settled.failure);
      yield* collected.add(name, settled.value);
    }
  }
  yield* collected.end();
}

/** Gathers headers, small contents and padding until a content stands between them. */
function collector(): { add(name: string, content: Segment): Segment[]; end(): Segment[] } {
  let known: Uint8Array[] = [];
  const settle = (): Uint8Array => {
    const bytes = Buffer.concat(known);
    known = [];
    return bytes;
  };
  return {
    add: (name, content) => {
      const size = sizeOf(content);
      known.push(fileHeader(name, size));
      const streamed = !(content instanceof Uint8Array) && size > 0 ? [settle(), content] : [];
      if (content instanceof Uint8Array) known.push(content);
      known.push(Buffer.alloc(padding(size)));
      return streamed;
    },
    end: () => {
      known.push(endOfTar);
      return [settle()];
    },
  };
}

export function sizeOf(segment: Segment): number {
  return segment instanceof Uint8Array ? segment.length : segment.size;
}
