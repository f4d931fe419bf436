// Reads `Packages.db` of rpm's own database "ndb" (SUSE): slots that say where each header lies.
// Format: rpm, lib/backend/ndb/rpmpkg.c; every number is little-endian, places and lengths are counted in blocks of 16 bytes.
import { ok, type Result } from '../../failure.ts';
import { type InstalledPackage, unreadable } from './package.ts';
import { readRpmHeaders } from './rpm-header.ts';

const format = 'rpm (ndb)';
const magics = { database: 'RpmP', slot: 'Slot', blob: 'BlbS' } as const;
const blockSize = 16;
const slotSize = 16;
/** Slots begin after the head of the file, which takes the room of two. */
const firstSlot = 32;
const pageSize = 4096;

export function readRpmNdb(bytes: Uint8Array): Result<InstalledPackage[]> {
  const database = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (database.length < firstSlot || database.toString('latin1', 0, 4) !== magics.database) {
    return unreadable(format, 'it does not begin as one');
  }
  const version = database.readUInt32LE(4);
  if (version !== 0) return unreadable(format, `its version is ${version}, and only 0 is known`);
  const slotPages = database.readUInt32LE(12);
  if (slotPages * pageSize > database.length) {
    return unreadable(format, `it should have ${slotPages} pages of slots and has ${database.length} bytes`);
  }
  return readRpmHeaders(headers(database, slotPages * pageSize));
}

function* headers(database: Buffer, slotsEnd: number): Generator<Result<Uint8Array>> {
  for (let at = firstSlot; at < slotsEnd; at += slotSize) {
    if (database.toString('latin1', at, at + 4) !== magics.slot) {
      yield unreadable(format, `no slot at byte ${at}`);
      return;
    }
    const packageIndex = database.readUInt32LE(at + 4);
    const start = database.readUInt32LE(at + 8) * blockSize;
    // A slot that is free.
    if (start === 0 || packageIndex === 0) continue;
    yield header(database, packageIndex, start, database.readUInt32LE(at + 12) * blockSize);
  }
}

/** A blob's head repeats its package's number, then comes its generation and the header's length in bytes. */
function header(database: Buffer, packageIndex: number, start: number, room: number): Result<Uint8Array> {
  const inside = room >= 16 && start + room <= database.length;
  if (!inside || database.toString('latin1', start, start + 4) !== magics.blob) {
    return unreadable(format, `package ${packageIndex} does not lie where its slot says`);
  }
  const length = database.readUInt32LE(start + 12);
  if (database.readUInt32LE(start + 4) !== packageIndex || length > room - 16) {
    return unreadable(format, `package ${packageIndex} is not what its slot says`);
  }
  return ok(database.subarray(start + 16, start + 16 + length));
}
