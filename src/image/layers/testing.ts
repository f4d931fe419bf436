// What tests of layers share: tars made header by header as POSIX.1-1988 lays them out, so that they can be wrong in any one thing, and a
// store that is a map.
import { Readable } from 'node:stream';
import { fail, ok } from '../../failure.ts';
import { sha256 } from '../digest.ts';
import { type Descriptor, manifestSchema } from '../oci.ts';
import type { LayerStore } from '../store.ts';

export interface TestEntry {
  name: string;
  flag?: string;
  content?: Buffer | string;
  linkName?: string;
  mode?: number;
  /** What the header says, where it is not the content's. */
  size?: number;
  /** Changes the header before its checksum is taken. */
  edit?: (header: Buffer) => void;
}

export function tarEntry({
  name,
  flag = '0',
  content = '',
  linkName = '',
  mode = 0o644,
  size,
  edit,
}: TestEntry): Buffer {
  const bytes = Buffer.from(content);
  const header = Buffer.alloc(512);
  header.write(name, 0, 100);
  header.write(`${mode.toString(8).padStart(7, '0')}\0`, 100);
  header.write('0001750\0', 108);
  header.write('0000144\0', 116);
  header.write(`${(size ?? bytes.length).toString(8).padStart(11, '0')}\0`, 124);
  header.write('00000000000\0', 136);
  header.write(flag, 156);
  header.write(linkName, 157, 100);
  header.write('ustar\x0000', 257);
  edit?.(header);
  header.fill(' ', 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return Buffer.concat([header, bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)]);
}

export function tarOf(...entries: (TestEntry | Buffer)[]): Buffer {
  const parts = entries.map((entry) => (Buffer.isBuffer(entry) ? entry : tarEntry(entry)));
  return Buffer.concat([...parts, Buffer.alloc(1024)]);
}

/** A pax header of records whose lengths are counted here. */
export function pax(...records: [key: string, value: string][]): Buffer {
  const content = records.map(([key, value]) => {
    const rest = Buffer.byteLength(` ${key}=${value}\n`);
    let length = rest + 1;
    while (length !== rest + String(length).length) length = rest + String(length).length;
    return `${length} ${key}=${value}\n`;
  });
  return tarEntry({ name: 'PaxHeaders/x', flag: 'x', content: content.join('') });
}

export const layerType = 'application/vnd.oci.image.layer.v1.tar';

export class MemoryStore implements LayerStore {
  readonly blobs = new Map<string, Buffer>();
  readonly manifests = new Map<string, Buffer>();
  /** How often each blob was streamed. */
  readonly reads = new Map<string, number>();

  put(bytes: Buffer, mediaType = layerType): Descriptor {
    const digest = sha256(bytes);
    this.blobs.set(digest, bytes);
    return { mediaType, digest, size: bytes.length };
  }

  async getBlob(_repository: object, { digest }: { digest: string }) {
    this.reads.set(digest, (this.reads.get(digest) ?? 0) + 1);
    const bytes = this.blobs.get(digest);
    return bytes ? ok(Readable.from(slices(bytes), { objectMode: false })) : absent;
  }

  async readBlob(_repository: object, digest: string) {
    const bytes = this.blobs.get(digest);
    return bytes ? ok(bytes) : absent;
  }

  async hasBlob(_repository: object, digest: string) {
    return ok(this.blobs.has(digest));
  }

  async getManifest({ digest = '' }: { digest?: string }) {
    const bytes = this.manifests.get(digest);
    if (!bytes) return absent;
    const content = manifestSchema.parse(JSON.parse(bytes.toString()));
    return ok({ descriptor: { mediaType: content.mediaType ?? '', digest, size: bytes.length }, bytes, content });
  }
}

const absent = fail({ kind: 'registry', transient: false, status: 404, message: 'not found' });

/** Odd portions: whatever is read has to be put together. */
function* slices(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += 60_001) yield bytes.subarray(at, at + 60_001);
}
