// Reads an rpm header as the databases keep it: two counts, an index of tags, and the data that the index points into.
// Format: rpm's manual, "RPM v4 header format" (docs/manual/format_header), without the magic that package files have in front.
import { ok, type Result } from '../../failure.ts';
import { type InstalledPackage, unreadable } from './package.ts';

// rpm's manual, "RPM tags", and the data types of the header format.
const tags = {
  name: 1000,
  version: 1001,
  release: 1002,
  epoch: 1003,
  arch: 1022,
  dirIndexes: 1116,
  baseNames: 1117,
  dirNames: 1118,
} as const;
const types = { int32: 4, string: 6, stringArray: 8, i18nString: 9 } as const;
const entrySize = 16;

interface Entry {
  type: number;
  offset: number;
  count: number;
}

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
  const entries = new Map<number, Entry>();
  for (let at = 8; at < dataStart; at += entrySize) {
    const [type, offset] = [header.readUInt32BE(at + 4), header.readUInt32BE(at + 8)];
    entries.set(header.readUInt32BE(at), { type, offset, count: header.readUInt32BE(at + 12) });
  }
  const data = header.subarray(dataStart, dataStart + dataLength);
  const text = (tag: number): string | undefined => readStrings(data, entries.get(tag))[0];
  const [name, version, release] = [text(tags.name), text(tags.version), text(tags.release)];
  if (name === undefined || version === undefined || release === undefined) {
    return unreadable('rpm', 'a header has no name, version or release');
  }
  const [epoch] = readNumbers(data, entries.get(tags.epoch));
  const evr = `${epoch === undefined ? '' : `${epoch}:`}${version}-${release}`;
  return ok({ name, version: evr, architecture: text(tags.arch), files: readFiles(data, entries) });
}

/** Folders are kept once (`/usr/bin/`), names apart, and for each name which folder it is in. */
function readFiles(data: Buffer, entries: Map<number, Entry>): string[] {
  const folders = readStrings(data, entries.get(tags.dirNames));
  const indexes = readNumbers(data, entries.get(tags.dirIndexes));
  return readStrings(data, entries.get(tags.baseNames)).map((name, at) => `${folders[indexes[at] ?? 0] ?? '/'}${name}`);
}

/** Empty where the tag is absent, of another type, or lies outside of the data. */
function readStrings(data: Buffer, entry: Entry | undefined): string[] {
  const strings: string[] = [];
  if (entry === undefined || ![types.string, types.stringArray, types.i18nString].some((type) => type === entry.type)) {
    return strings;
  }
  for (let at = entry.offset; strings.length < entry.count; ) {
    const end = data.indexOf(0, at);
    if (at >= data.length || end < 0) return [];
    strings.push(data.toString('utf8', at, end));
    at = end + 1;
  }
  return strings;
}

function readNumbers(data: Buffer, entry: Entry | undefined): number[] {
  if (entry?.type !== types.int32 || entry.offset + entry.count * 4 > data.length) return [];
  return Array.from({ length: entry.count }, (_, index) => data.readUInt32BE(entry.offset + index * 4));
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
