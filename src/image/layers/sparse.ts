// Where the stored bytes of a sparse file belong: GNU tar's old form and its three of pax (GNU tar manual, "Storing Sparse Files").
// Docker writes holes out as zeros, but a root file system that was packed by GNU tar and imported as a layer may have them.
import { bad, good, type Parsed, parseDecimal, readNumber } from './tar-header.ts';

export interface Segment {
  offset: number;
  length: number;
}

export interface SparseMap {
  segments: Segment[];
  /** Bytes of the file, holes included. */
  size: number;
}

/** More would be a map that is there to fill memory. */
export const maxSegments = 65_536;

/** The segments of a block of the old form: 4 of them from 386 on in a header, 21 from 0 on in what follows it. */
export function readOldSegments(block: Buffer, offset: number, count: number): Parsed<Segment[]> {
  const segments: Segment[] = [];
  for (let at = offset; at < offset + count * 24; at += 24) {
    if (block[at] === 0) break;
    const [start, length] = [readNumber(block, at, 12), readNumber(block, at + 12, 12)];
    if (!start.ok || !length.ok || start.value < 0 || length.value < 0) return bad('a sparse map that is malformed');
    segments.push({ offset: start.value, length: length.value });
  }
  return good(segments);
}

/** Whether another block of the old form's map follows: byte 482 of a header, 504 of what follows it. */
export function continues(block: Buffer, offset: 482 | 504): boolean {
  return (block[offset] ?? 0) !== 0;
}

/** The map of pax formats 0.0 and 0.1; `inData` for 1.0, whose map stands before the content; undefined where the file isn't sparse. */
export function readPaxSparse(
  records: [string, string][],
): Parsed<SparseMap | { size: number; inData: true } | undefined> {
  const last = new Map(records);
  const version = `${last.get('GNU.sparse.major') ?? ''}.${last.get('GNU.sparse.minor') ?? ''}`;
  const map = last.get('GNU.sparse.map');
  const numbers =
    map === undefined
      ? records
          .filter(([key]) => key === 'GNU.sparse.offset' || key === 'GNU.sparse.numbytes')
          .map(([, value]) => value)
      : map.split(',').filter((text) => text !== '');
  // As archive/tar: without a map, it is a file like others.
  if (version !== '1.0' && numbers.length === 0) return good(undefined);
  const size = parseDecimal(last.get('GNU.sparse.realsize') ?? last.get('GNU.sparse.size') ?? '');
  if (!size.ok) return bad(`a sparse file whose size is ${size.problem}`);
  if (version === '1.0') return good({ size: size.value, inData: true });
  const segments = pairs(numbers);
  return segments.ok ? good({ size: size.value, segments: segments.value }) : segments;
}

/**
 * Format 1.0's map stands in whole blocks before the content: a count, then offset and length of each segment, a line each; what follows
 * the last line in its block is padding. How many lines there are, from the first block.
 */
export function countMapLines(first: Buffer): Parsed<number> {
  const end = first.indexOf(10);
  const count = end < 0 ? bad('') : parseDecimal(first.toString('latin1', 0, end));
  if (!count.ok || count.value > maxSegments) return bad('a sparse map that is malformed or has too many segments');
  return good(1 + count.value * 2);
}

export function countLines(block: Buffer): number {
  let lines = 0;
  for (const byte of block) if (byte === 10) lines += 1;
  return lines;
}

/** `map` is all blocks of the map, `lines` what countMapLines says. */
export function readDataMap(map: Buffer, lines: number): Parsed<Segment[]> {
  return pairs(map.toString('latin1').split('\n').slice(1, lines));
}

function pairs(numbers: string[]): Parsed<Segment[]> {
  if (numbers.length % 2 !== 0) return bad('a sparse map that is malformed');
  const segments: Segment[] = [];
  for (let at = 0; at < numbers.length; at += 2) {
    const [offset, length] = [parseDecimal(numbers[at] ?? ''), parseDecimal(numbers[at + 1] ?? '')];
    if (!offset.ok || !length.ok) return bad('a sparse map that is malformed');
    segments.push({ offset: offset.value, length: length.value });
  }
  return good(segments);
}

/** The segments lie one after the other within the file, and there are bytes for them; more of these mean nothing. */
export function checkSparse({ segments, size }: SparseMap, stored: number): string | undefined {
  if (segments.length > maxSegments) return 'a sparse map of too many segments';
  let end = 0;
  let sum = 0;
  for (const { offset, length } of segments) {
    if (offset < end || !Number.isSafeInteger(offset + length) || offset + length > size) {
      return 'a sparse map whose segments overlap or lie outside of the file';
    }
    end = offset + length;
    sum += length;
  }
  return sum <= stored ? undefined : `a sparse map of ${sum} bytes for ${stored} stored ones`;
}

/** The file's first `length` bytes, from as many of its stored ones: holes are zeros. */
export function expand(segments: Segment[], stored: Buffer, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  let from = 0;
  for (const segment of segments) {
    if (segment.offset >= length || from >= stored.length) break;
    stored.copy(bytes, segment.offset, from, Math.min(from + segment.length, stored.length));
    from += segment.length;
  }
  return bytes;
}

/** How many stored bytes the file's first `length` are made of. */
export function storedBytes(segments: Segment[], length: number): number {
  return segments.reduce((sum, { offset, length: bytes }) => sum + Math.max(0, Math.min(bytes, length - offset)), 0);
}
