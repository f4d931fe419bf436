// Reads `Packages` of rpm before 4.16 (CentOS 7, RHEL 8, Amazon Linux 2): a Berkeley DB hash database, header number to header.
// Format: Berkeley DB 5.3, src/dbinc/db_page.h (DBMETA, HMETA, PAGE, HOFFPAGE); its byte order is that of the machine that wrote it.
import { ok, type Result } from '../../failure.ts';
import { type InstalledPackage, unreadable } from './package.ts';
import { readRpmHeaders } from './rpm-header.ts';

const format = 'rpm (Berkeley DB)';
const hashMagic = 0x061561;
const checksummed = 1;
/** Bytes of a page before its own contents. */
const pageHeader = 26;
const pageTypes = { unsortedHash: 2, overflow: 7, hash: 13 } as const;
const itemTypes = { inPage: 1, offPage: 3 } as const;

interface Pages {
  bytes: Buffer;
  size: number;
  count: number;
  u16(at: number): number;
  u32(at: number): number;
}

export function readRpmBdb(bytes: Uint8Array): Result<InstalledPackage[]> {
  const pages = openPages(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  return pages.ok ? readRpmHeaders(headers(pages.value)) : pages;
}

function openPages(bytes: Buffer): Result<Pages> {
  if (bytes.length < 512) return unreadable(format, `it has ${bytes.length} bytes`);
  const little = bytes.readUInt32LE(12) === hashMagic;
  if (!little && bytes.readUInt32BE(12) !== hashMagic) return unreadable(format, 'it is no hash database');
  const u16 = (at: number): number => (little ? bytes.readUInt16LE(at) : bytes.readUInt16BE(at));
  const u32 = (at: number): number => (little ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at));
  const size = u32(20);
  // db_page.h, DB_MIN_PGSIZE and DB_MAX_PGSIZE.
  if (size < 512 || size > 65536 || (size & (size - 1)) !== 0) return unreadable(format, `pages of ${size} bytes`);
  if (bytes[24] !== 0 || ((bytes[26] ?? 0) & checksummed) !== 0) {
    return unreadable(format, 'its pages are encrypted or have checksums, which rpm never writes');
  }
  const count = u32(32) + 1;
  if (count * size > bytes.length) {
    return unreadable(format, `it should have ${count} pages of ${size} bytes and has ${bytes.length} bytes`);
  }
  return ok({ bytes, size, count, u16, u32 });
}

/** Every value of every hash page but the one of key 0, which is the number of the next header. */
function* headers(pages: Pages): Generator<Result<Uint8Array>> {
  const { bytes, size, u16 } = pages;
  for (let page = 1; page < pages.count; page++) {
    const start = page * size;
    const type = bytes[start + 25];
    if (type !== pageTypes.hash && type !== pageTypes.unsortedHash) continue;
    const entries = u16(start + 20);
    if (entries % 2 !== 0 || pageHeader + entries * 2 > size) {
      yield unreadable(format, `page ${page} has ${entries} entries`);
      return;
    }
    // Items grow down from the page's end: each ends where the one before it begins. Keys and values alternate.
    for (let index = 0; index < entries; index += 2) {
      const keyStart = u16(start + pageHeader + index * 2);
      const keyEnd = index === 0 ? size : u16(start + pageHeader + (index - 1) * 2);
      const valueStart = u16(start + pageHeader + (index + 1) * 2);
      if (valueStart < pageHeader || valueStart >= keyStart || keyStart >= keyEnd || keyEnd > size) {
        yield unreadable(format, `page ${page} has an item outside of it`);
        return;
      }
      const key = bytes.subarray(start + keyStart + 1, start + keyEnd);
      if (key.every((byte) => byte === 0)) continue;
      yield value(pages, start + valueStart, start + keyStart);
    }
  }
}

function value(pages: Pages, start: number, end: number): Result<Uint8Array> {
  const { bytes, u32 } = pages;
  const type = bytes[start];
  if (type === itemTypes.inPage) return ok(bytes.subarray(start + 1, end));
  if (type === itemTypes.offPage && end - start >= 12) return overflow(pages, u32(start + 4), u32(start + 8));
  return unreadable(format, `an item of type ${type}`);
}

/** A value too long for a page: a chain of pages, of which only the last is not full. */
function overflow(pages: Pages, first: number, length: number): Result<Uint8Array> {
  const { bytes, size, count, u16, u32 } = pages;
  const parts: Buffer[] = [];
  let left = length;
  for (let page = first; left > 0; page = u32(page * size + 16)) {
    const start = page * size;
    const here = page > 0 && page < count && bytes[start + 25] === pageTypes.overflow ? u16(start + 22) : 0;
    // Each page gives at least a byte, so a chain that is a ring ends too.
    if (here === 0 || here > Math.min(left, size - pageHeader)) {
      return unreadable(format, `a header's pages end ${left} bytes too early, at page ${page}`);
    }
    parts.push(bytes.subarray(start + pageHeader, start + pageHeader + here));
    left -= here;
  }
  return ok(Buffer.concat(parts));
}
