// An archive before it is written: files in their order, of which each one's size is known, and the one run of bytes that they make.
import type { Readable } from 'node:stream';
import type { Result } from '../failure.ts';
import { endOfTar, fileHeader, padding } from './tar.ts';

/** Bytes that come from elsewhere; their stream checks them and ends with a StreamFailure where they are wrong. */
export interface StreamedContent {
  /** Bytes. */
  size: number;
  /** False where they are compressed already, so that compressing them again is wasted. */
  deflates: boolean;
  open(signal: AbortSignal): Promise<Result<Readable>>;
}

export interface ArchiveFile {
  name: string;
  content: Uint8Array | StreamedContent;
}

export type Segment = Uint8Array | StreamedContent;

/** The tar of these files: bytes that are known, and contents between them that are not yet. */
export function segmentsOf(files: readonly ArchiveFile[]): Segment[] {
  const segments: Segment[] = [];
  let known: Uint8Array[] = [];
  const settle = (): void => {
    const bytes = Buffer.concat(known);
    if (bytes.length > 0) segments.push(bytes);
    known = [];
  };
  for (const { name, content } of files) {
    const size = content instanceof Uint8Array ? content.length : content.size;
    known.push(fileHeader(name, size));
    if (content instanceof Uint8Array) known.push(content);
    else if (size > 0) {
      settle();
      segments.push(content);
    }
    known.push(Buffer.alloc(padding(size)));
  }
  known.push(endOfTar);
  settle();
  return segments;
}

export function sizeOf(segment: Segment): number {
  return segment instanceof Uint8Array ? segment.length : segment.size;
}
