// Decompresses zstd of any number of frames. Node's own stream stops after the first one and says nothing, while podman's zstd:chunked
// layers have a frame for every file: so frames are told apart here (RFC 8878, section 3.1), and each is given to a stream of Node's.
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import * as zlib from 'node:zlib';
import type { Failure } from '../../failure.ts';

/** Node has zstd since 22.15 and 23.8; the failure where this one hasn't. */
export function lackOfZstd(where: string): Failure | undefined {
  if (typeof zlib.createZstdDecompress === 'function') return undefined;
  return {
    kind: 'system',
    message: `this Node (${process.version}) can't read layers of zstd`,
    where,
    help: 'run splitbuild with Node 22.15 or newer, or build with gzip layers',
  };
}

/** What ends the stream of a blob that is no zstd; its code is one of zlib's, as its own errors have. */
class FrameError extends Error {
  readonly code: 'ZSTD_FRAME' | 'Z_BUF_ERROR';
  constructor(code: FrameError['code']) {
    super(code === 'ZSTD_FRAME' ? 'not a frame of zstd' : 'unexpected end of file');
    this.code = code;
  }
}

/** A frame smaller than this is decompressed at once, as a stream for each costs more than its content. */
const small = 128 << 10;
const largestAtOnce = 4 << 20;

export async function* decompressZstd(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const input = new Input(source);
  do {
    const magic = (await input.take(4)).readUInt32LE();
    // Skippable frames hold what others keep there, as the table of zstd:chunked.
    if (magic >>> 4 === 0x184d2a5) {
      for await (const _ of input.pieces((await input.take(4)).readUInt32LE()));
    } else if (magic === 0xfd2fb528) {
      yield* decompressFrame(partsOfFrame(input));
    } else {
      throw new FrameError('ZSTD_FRAME');
    }
  } while (await input.fill(1));
}

async function* decompressFrame(parts: AsyncGenerator<Buffer>): AsyncGenerator<Buffer> {
  const first: Buffer[] = [];
  let size = 0;
  let whole = false;
  while (size <= small && !whole) {
    const part = await parts.next();
    if (part.done) whole = true;
    else {
      first.push(part.value);
      size += part.value.length;
    }
  }
  const atOnce = whole ? atOnceOrNot(Buffer.concat(first, size)) : undefined;
  if (atOnce !== undefined) {
    yield atOnce;
    return;
  }
  const stream = zlib.createZstdDecompress({ chunkSize: 128 << 10 });
  let failure: unknown;
  const feeding = pipeline(Readable.from(after(first, parts), { objectMode: false }), stream).catch((error) => {
    failure = error;
  });
  try {
    yield* stream;
  } finally {
    stream.destroy();
    await feeding;
  }
  if (failure !== undefined) throw failure;
}

function atOnceOrNot(frame: Buffer): Buffer | undefined {
  try {
    return zlib.zstdDecompressSync(frame, { maxOutputLength: largestAtOnce });
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE') return undefined;
    throw error;
  }
}

async function* after(first: Buffer[], rest: AsyncGenerator<Buffer>): AsyncGenerator<Buffer> {
  yield* first;
  yield* rest;
}

/** All bytes of a frame, its magic number included, which has been taken already. */
async function* partsOfFrame(input: Input): AsyncGenerator<Buffer> {
  const descriptor = (await input.take(1)).readUInt8();
  const singleSegment = (descriptor & 0x20) !== 0;
  const sizeFlag = descriptor >> 6;
  const sizeBytes = sizeFlag === 0 ? Number(singleSegment) : 1 << sizeFlag;
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3] ?? 0;
  const header = await input.take(Number(!singleSegment) + dictionaryBytes + sizeBytes);
  yield Buffer.concat([Buffer.of(0x28, 0xb5, 0x2f, 0xfd, descriptor), header]);
  for (let last = false; !last; ) {
    const block = await input.take(3);
    const bits = block.readUIntLE(0, 3);
    last = (bits & 1) !== 0;
    const type = (bits >> 1) & 3;
    if (type === 3) throw new FrameError('ZSTD_FRAME');
    yield block;
    // A block of one byte repeated stores it once.
    yield* input.pieces(type === 1 ? 1 : bits >> 3);
  }
  if (descriptor & 4) yield await input.take(4);
}

/** A source's bytes in portions of any size. */
class Input {
  readonly #source: AsyncIterator<Buffer>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(source: AsyncIterable<Buffer>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** Whether there are so many more; only few are ever asked for. */
  async fill(count: number): Promise<boolean> {
    while (this.#rest.length < count) {
      const next = await this.#source.next();
      if (next.done) return false;
      this.#rest = this.#rest.length === 0 ? next.value : Buffer.concat([this.#rest, next.value]);
    }
    return true;
  }

  async take(count: number): Promise<Buffer> {
    if (!(await this.fill(count))) throw new FrameError('Z_BUF_ERROR');
    return this.#cut(count);
  }

  async *pieces(count: number): AsyncGenerator<Buffer> {
    for (let missing = count; missing > 0; ) {
      if (!(await this.fill(1))) throw new FrameError('Z_BUF_ERROR');
      const piece = this.#cut(missing);
      missing -= piece.length;
      yield piece;
    }
  }

  #cut(count: number): Buffer {
    const piece = this.#rest.subarray(0, count);
    this.#rest = this.#rest.subarray(count);
    return piece;
  }
}
