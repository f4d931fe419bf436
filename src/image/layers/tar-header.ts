// One header of a tar and the records of pax, read as Go's archive/tar reads them: that is what engines unpack layers with, so what it
// refuses is refused here, and what it takes is taken. (Numbers: POSIX.1-1988 octal, GNU base-256; pax: POSIX.1-2001.)

/** Of data from outside: its value, or in words what is wrong with it. */
export type Parsed<T> = { ok: true; value: T } | { ok: false; problem: string };

export const blockSize = 512;

export interface TarHeader {
  name: string;
  /** The letter of the type flag; a zero character in tars from before POSIX. */
  flag: string;
  mode: number;
  uid: number;
  gid: number;
  /** Bytes stored in the archive. */
  size: number;
  linkName: string;
  gnu: boolean;
}

export function good<T>(value: T): Parsed<T> {
  return { ok: true, value };
}

export function bad(problem: string): { ok: false; problem: string } {
  return { ok: false, problem };
}

/** `block` is not all zero. */
export function parseHeader(block: Buffer): Parsed<TarHeader> {
  const sum = readNumber(block, 148, 8);
  if (!sum.ok || !hasSum(block, sum.value)) return bad('a header with a wrong checksum');
  const magic = block.toString('latin1', 257, 265);
  const gnu = magic === 'ustar  \0';
  const [mode, uid, gid] = [readNumber(block, 100, 8), readNumber(block, 108, 8), readNumber(block, 116, 8)];
  const size = readNumber(block, 124, 12);
  if (!size.ok) return bad(`a header whose size is ${size.problem}`);
  if (size.value < 0) return bad('a header whose size is negative');
  if (!mode.ok || !uid.ok || !gid.ok) return bad('a header whose mode or owner is no number');
  let name = readText(block, 0, 100);
  if (magic.startsWith('ustar\0')) {
    const star = block.toString('latin1', 508, 512) === 'tar\0';
    const prefix = readText(block, 345, star ? 131 : 155);
    if (prefix !== '') name = `${prefix}/${name}`;
  }
  return good({
    name,
    flag: String.fromCharCode(block[156] ?? 0),
    mode: mode.value,
    uid: uid.value,
    gid: gid.value,
    size: size.value,
    linkName: readText(block, 157, 100),
    gnu,
  });
}

/** Some old tars added up signed bytes. */
function hasSum(block: Buffer, expected: number): boolean {
  let unsigned = 8 * 32;
  let negative = 0;
  for (let at = 0; at < blockSize; at += 1) {
    if (at === 148) at = 156;
    const byte = block[at] ?? 0;
    unsigned += byte;
    if (byte > 127) negative += 256;
  }
  return expected === unsigned || expected === unsigned - negative;
}

/** A whole number: octal text, or GNU's base-256, in which it may be negative. */
export function readNumber(block: Buffer, offset: number, length: number): Parsed<number> {
  const first = block[offset] ?? 0;
  const end = offset + length;
  let value = 0;
  if (first & 0x80) {
    const flip = first & 0x40 ? 0xff : 0;
    value = (first ^ flip) & 0x3f;
    for (let at = offset + 1; at < end; at += 1) value = value * 256 + ((block[at] ?? 0) ^ flip);
    if (!Number.isSafeInteger(value)) return bad('beyond all measure');
    return good(flip ? -1 - value : value);
  }
  let at = offset;
  const isPad = (byte: number | undefined) => byte === 32 || byte === 0;
  while (at < end && isPad(block[at])) at += 1;
  for (; at < end && !isPad(block[at]); at += 1) {
    const digit = (block[at] ?? 0) - 48;
    if (digit < 0 || digit > 7) return bad(block[at] === 45 ? 'negative' : 'no number');
    value = value * 8 + digit;
  }
  return good(value);
}

export function readText(block: Buffer, offset: number, length: number): string {
  const end = block.indexOf(0, offset);
  return block.toString('utf8', offset, end < 0 || end > offset + length ? offset + length : end);
}

/** The records `LENGTH KEY=VALUE\n` in their order; a key may be there more than once (GNU's sparse format 0.0 needs that). */
export function parsePax(bytes: Buffer): Parsed<[key: string, value: string][]> {
  const records: [string, string][] = [];
  let at = 0;
  while (at < bytes.length) {
    const space = bytes.indexOf(32, at);
    const digits = space < 0 || space - at > 10 ? '' : bytes.toString('latin1', at, space);
    const end = at + (/^[0-9]+$/.test(digits) ? Number(digits) : 0);
    const equals = space < 0 ? -1 : bytes.indexOf(61, space);
    if (end > bytes.length || equals < 0 || equals >= end - 1 || bytes[end - 1] !== 10) {
      return bad('a pax record that is malformed');
    }
    const key = bytes.toString('utf8', space + 1, equals);
    const value = bytes.toString('utf8', equals + 1, end - 1);
    if (key === '' || (value.includes('\0') && ['path', 'linkpath'].includes(key)))
      return bad('a pax record that is malformed');
    records.push([key, value]);
    at = end;
  }
  return good(records);
}

/** A whole number of a pax record. */
export function parseDecimal(text: string): Parsed<number> {
  if (text.startsWith('-')) return bad('negative');
  const value = /^[0-9]{1,16}$/.test(text) ? Number(text) : Number.NaN;
  return Number.isSafeInteger(value) ? good(value) : bad('no number');
}
