// Reads an rpm header as the databases keep it: two counts, an index of tags, and the data that the index points into.
// Format: rpm's manual, "RPM v4 header format" (docs/manual/format_header), without the magic that package files have in front.
import { ok, type Result } from '../../failure.ts';
import { type InstalledPackage, unreadable } from './package.ts';

// rpm's manual, "RPM tags", and the data types of the header format.
const tags = { name: 1000, version: 1001, release: 1002, epoch: 1003, arch: 1022 } as const;
const types = { int32: 4, string: 6, i18nString: 9 } as const;
const entrySize = 16;

/** The package that a header is of; its version as rpm prints it (`EVR`): the epoch only where there is one. */
export function readRpmHeader(blob: Uint8Array): Result<InstalledPackage> {
  const header = Buffer.from(blob.buffer, blob.byteOffset, blob.byteLength);
  if (header.length < 8) return unreadable('rpm', `a header of ${header.length} bytes`);
  const count = header.readUInt32BE(0);
  const dataLength = header.readUInt32BE(4);
  const dataStart = 8 + count * entrySize;
  if (dataStart + dataLength > header.length) {
    return unreadable('rpm', `a header says it has ${dataStart + dataLength} bytes and has ${header.length}`);
  }
  const data = header.subarray(dataStart, dataStart + dataLength);
  const strings = new Map<number, string>();
  let epoch: number | undefined;
  for (let at = 8; at < dataStart; at += entrySize) {
    const tag = header.readUInt32BE(at);
    const type = header.readUInt32BE(at + 4);
    const offset = header.readUInt32BE(at + 8);
    if (tag === tags.epoch && type === types.int32) {
      if (offset + 4 > data.length) return unreadable('rpm', 'the epoch lies outside of its header');
      epoch = data.readUInt32BE(offset);
    } else if (tag >= tags.name && tag <= tags.arch && (type === types.string || type === types.i18nString)) {
      const end = data.indexOf(0, offset);
      if (offset >= data.length || end < 0) return unreadable('rpm', `tag ${tag} lies outside of its header`);
      strings.set(tag, data.toString('utf8', offset, end));
    }
  }
  const name = strings.get(tags.name);
  const version = strings.get(tags.version);
  const release = strings.get(tags.release);
  if (name === undefined || version === undefined || release === undefined) {
    return unreadable('rpm', 'a header has no name, version or release');
  }
  const evr = `${epoch === undefined ? '' : `${epoch}:`}${version}-${release}`;
  return ok({ name, version: evr, architecture: strings.get(tags.arch) });
}

/** The packages of many headers; the first that can't be read is the failure. */
export function readRpmHeaders(blobs: Iterable<Result<Uint8Array>>): Result<InstalledPackage[]> {
  const packages: InstalledPackage[] = [];
  for (const blob of blobs) {
    if (!blob.ok) return blob;
    const read = readRpmHeader(blob.value);
    if (!read.ok) return read;
    packages.push(read.value);
  }
  return ok(packages);
}
