// Headers of a tar whose bytes depend on nothing but names and sizes: no time, no owner (POSIX.1-2001, pax interchange format).

export const blockSize = 512;
/** What ends a tar. */
export const endOfTar = new Uint8Array(2 * blockSize);
/** The size field has eleven octal digits; above, GNU's base-256 is what Go, GNU tar and libarchive read. */
const octalLimit = 8 ** 11;

/** The header of a file, with a pax header before it where the name is longer than a plain one may be. */
export function fileHeader(name: string, size: number): Buffer {
  if (Buffer.byteLength(name) <= 100) return header(name, size, '0');
  const record = paxRecord('path', name);
  const padded = Buffer.alloc(padding(record.length));
  return Buffer.concat([header('pax', record.length, 'x'), record, padded, header(name.slice(0, 100), size, '0')]);
}

/** Bytes between a content of this size and the next header. */
export function padding(size: number): number {
  return (blockSize - (size % blockSize)) % blockSize;
}

function header(name: string, size: number, type: '0' | 'x'): Buffer {
  const block = Buffer.alloc(blockSize);
  block.write(name, 0, 100, 'utf8');
  block.write('0000644\0', 100, 'latin1');
  block.write('0000000\0', 108, 'latin1');
  block.write('0000000\0', 116, 'latin1');
  if (size < octalLimit) block.write(`${size.toString(8).padStart(11, '0')}\0`, 124, 'latin1');
  else {
    block.writeBigUInt64BE(BigInt(size), 128);
    block.writeUInt8(0x80, 124);
  }
  block.write('00000000000\0', 136, 'latin1');
  block.write(type, 156, 'latin1');
  block.write('ustar\u000000', 257, 'latin1');
  // The sum is of the header with spaces in its place.
  block.fill(' ', 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

/** `30 path=…\n`, whose length counts its own digits. */
function paxRecord(key: string, value: string): Buffer {
  const rest = Buffer.byteLength(` ${key}=${value}\n`);
  let length = rest + String(rest).length;
  length = rest + String(length).length;
  return Buffer.from(`${length} ${key}=${value}\n`);
}
