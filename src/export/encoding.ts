// How an archive is compressed, in parts that don't depend on each other: what deflates is compressed in blocks side by side, what is
// compressed already (layers are) is stored, at the price of some bytes in 64 KiB, and with sizes that are known before.
import { promisify } from 'node:util';
import * as zlib from 'node:zlib';
import { fail, ok, type Result } from '../failure.ts';

export type Compression = 'none' | 'gzip' | 'zstd';

export interface Encoding {
  begin: Uint8Array;
  /** Size of so many bytes once stored. */
  storedSize(size: number): number;
  /** Gives chunks of a content of this size their frames, as they come. */
  store(size: number): (chunk: Uint8Array) => Uint8Array[];
  /** Bytes that are compressed at once; undefined where nothing is compressed. */
  blockSize?: number;
  compress(block: Uint8Array): Promise<Uint8Array>;
  /** Whether `end` wants the CRC-32 of all. */
  needsCrc: boolean;
  end(crc: number, size: number): Uint8Array;
}

/** As of `gzip` and `zstd` when nothing is said. */
const gzipLevel = 6;
const zstdLevel = 3;

export function encodingOf(compression: Compression): Encoding {
  return { none: plain, gzip, zstd }[compression];
}

/** Whether this Node can compress what deflates; storing it always can. */
export function canCompress(compression: Compression): Result<void> {
  if (compression !== 'zstd' || typeof zlib.zstdCompress === 'function') return ok(undefined);
  return fail({
    kind: 'system',
    message: `this Node (${process.version}) can't compress with zstd`,
    help: 'run splitbuild with Node 22.15 or newer, or write a .tar.gz',
  });
}

const plain: Encoding = {
  begin: new Uint8Array(0),
  storedSize: (size) => size,
  store: () => (chunk) => [chunk],
  compress: async (block) => block,
  needsCrc: false,
  end: () => new Uint8Array(0),
};

/** Stored blocks of deflate (RFC 1951, 3.2.4). */
const gzipStored = 65_535;
const deflateRaw = promisify<zlib.InputType, zlib.ZlibOptions, Buffer>(zlib.deflateRaw);

const gzip: Encoding = {
  // RFC 1952, 2.3: no time, no name; 255 is "unknown" for the system, as the bytes are to be the same on all.
  begin: Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]),
  storedSize: (size) => size + 5 * Math.ceil(size / gzipStored),
  store: (size) =>
    framer(size, gzipStored, (length) => {
      const head = Buffer.alloc(5);
      head.writeUInt16LE(length, 1);
      head.writeUInt16LE(length ^ 0xffff, 3);
      return head;
    }),
  blockSize: 1 << 20,
  // A sync flush ends on a byte, with no block the last: blocks made apart can follow each other.
  compress: (block) => deflateRaw(block, { level: gzipLevel, finishFlush: zlib.constants.Z_SYNC_FLUSH }),
  needsCrc: true,
  end: (crc, size) => {
    const trailer = Buffer.alloc(13);
    // An empty stored block, the last.
    trailer.set([1, 0, 0, 0xff, 0xff]);
    trailer.writeUInt32LE(crc, 5);
    trailer.writeUInt32LE(size % 2 ** 32, 9);
    return trailer;
  },
};

/** Raw blocks of zstd (RFC 8878, 3.1.1.2), at most as large as the window, which is as large as a block may be. */
const zstdRaw = 128 << 10;
const zstdHeader = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0, 7 << 3]);

const zstd: Encoding = {
  begin: new Uint8Array(0),
  storedSize: (size) => zstdHeader.length + size + 3 * Math.ceil(size / zstdRaw),
  store: (size) => {
    let first = true;
    const frame = framer(size, zstdRaw, (length, last) => {
      const head = Buffer.alloc(3);
      head.writeUIntLE((length << 3) | Number(last), 0, 3);
      return head;
    });
    return (chunk) => {
      const framed = first ? [zstdHeader, ...frame(chunk)] : frame(chunk);
      first = false;
      return framed;
    };
  },
  blockSize: 4 << 20,
  // Frames can follow each other (RFC 8878, 3).
  compress: (block) =>
    promisify<zlib.InputType, zlib.ZstdOptions, Buffer>(zlib.zstdCompress)(block, {
      params: { [zlib.constants.ZSTD_c_compressionLevel]: zstdLevel },
    }),
  needsCrc: false,
  end: () => new Uint8Array(0),
};

/** Puts a head before every `limit` bytes of a content of this size. */
function framer(
  size: number,
  limit: number,
  headOf: (length: number, last: boolean) => Uint8Array,
): (chunk: Uint8Array) => Uint8Array[] {
  let missing = size;
  let open = 0;
  return (chunk) => {
    const framed: Uint8Array[] = [];
    for (let at = 0; at < chunk.length; ) {
      if (open === 0) {
        open = Math.min(limit, missing);
        framed.push(headOf(open, open === missing));
      }
      const part = chunk.subarray(at, at + open);
      framed.push(part);
      at += part.length;
      open -= part.length;
      missing -= part.length;
      // More than was said: whoever checks the content says so.
      if (missing <= 0 && at < chunk.length) return [...framed, chunk.subarray(at)];
    }
    return framed;
  };
}
