// Reads a tar as it streams by, a chunk at a time, and keeps nothing of it: what it is given decides neither its memory nor its time, but
// the limits do. It takes and refuses what Go's archive/tar does, for that is what engines unpack layers with; libraries on npm read no
// sparse files, read on after the end, and set no limit to what a header may claim.
import { describeEntry, type LayerEntry, normalisePath, printable } from './entry.ts';
import {
  checkSparse,
  continues,
  countLines,
  countMapLines,
  expand,
  maxSegments,
  readDataMap,
  readOldSegments,
  readPaxSparse,
  type Segment,
  storedBytes,
} from './sparse.ts';
import {
  bad,
  blockSize,
  good,
  type Parsed,
  parseDecimal,
  parseHeader,
  parsePax,
  readNumber,
  type TarHeader,
} from './tar-header.ts';

/** What a visitor wants of a file: its first bytes, all of it with `head: entry.size`. */
export interface Wanted {
  /** At most; beyond `limits.head` no more is given. */
  head: number;
  /** Called once, before the next entry. The bytes are valid during the call: copy what is to be kept. */
  take(bytes: Buffer): void;
}

export type Visit = (entry: LayerEntry) => Wanted | undefined;

export interface TarLimits {
  /** Entries, headers of pax among them. */
  entries: number;
  /** Bytes of a path, as Linux's PATH_MAX. */
  path: number;
  /** Bytes of one pax header or GNU long name: archive/tar's limit. */
  meta: number;
  /** Bytes of a file that a visitor can get at once. */
  head: number;
}

export const tarLimits: TarLimits = { entries: 5_000_000, path: 4096, meta: 1 << 20, head: 256 << 20 };

/** What the reader needs next: so many bytes together, or so many passed over. */
type Need = { take: number; mayEnd?: boolean } | { skip: number; mayEnd?: boolean };

interface Extended {
  name?: string;
  linkName?: string;
  records: [string, string][];
}

const nothing = Buffer.alloc(0);
const zeros = Buffer.alloc(blockSize);
/** Types that have no content, whatever their size says (archive/tar's isHeaderOnly): links, devices, directories, pipes. */
const withoutContent = new Set(['1', '2', '3', '4', '5', '6']);

export class TarReader {
  entries = 0;
  readonly #visit: Visit;
  readonly #limits: TarLimits;
  readonly #steps: Generator<Need, string | undefined, Buffer>;
  #need: Need | undefined;
  #held: Buffer[] = [];
  #heldBytes = 0;
  #problem: string | undefined;
  /** What is being read, for messages. */
  #place = 'its first header';

  constructor(visit: Visit, limits: TarLimits = tarLimits) {
    this.#visit = visit;
    this.#limits = limits;
    this.#steps = this.#read();
    this.#advance(nothing);
  }

  /** What is wrong with the tar, if anything; then nothing more is read of it. */
  push(chunk: Buffer): string | undefined {
    let at = 0;
    while (this.#need !== undefined && at < chunk.length) {
      if ('skip' in this.#need) {
        const skipped = Math.min(this.#need.skip, chunk.length - at);
        at += skipped;
        this.#need.skip -= skipped;
        if (this.#need.skip === 0) this.#advance(nothing);
        continue;
      }
      const missing = this.#need.take - this.#heldBytes;
      const part = chunk.subarray(at, at + missing);
      at += part.length;
      if (part.length === missing && this.#heldBytes === 0) {
        this.#advance(part);
      } else {
        // The chunk's memory is the stream's own.
        this.#held.push(Buffer.from(part));
        this.#heldBytes += part.length;
        if (part.length === missing) {
          const whole = Buffer.concat(this.#held, this.#heldBytes);
          this.#held = [];
          this.#heldBytes = 0;
          this.#advance(whole);
        }
      }
    }
    return this.#problem;
  }

  /** There is no more: what is wrong with that, if anything. */
  finish(): string | undefined {
    if (this.#need === undefined || (this.#need.mayEnd && this.#heldBytes === 0)) return this.#problem;
    return `it ends within ${printable(this.#place)}`;
  }

  #advance(bytes: Buffer): void {
    const step = this.#steps.next(bytes);
    if (step.done) {
      this.#need = undefined;
      if (step.value !== undefined) this.#problem = `${step.value} (${printable(this.#place)})`;
    } else {
      this.#need = step.value;
    }
  }

  *#read(): Generator<Need, string | undefined, Buffer> {
    let extended: Extended = { records: [] };
    for (;;) {
      const block = yield { take: blockSize, mayEnd: true };
      if (block.equals(zeros)) {
        // Two blocks of zeros are the end; what comes after them is no part of it.
        const second = yield { take: blockSize, mayEnd: true };
        return second.equals(zeros) ? undefined : 'a block of zeros between headers';
      }
      this.entries += 1;
      if (this.entries > this.#limits.entries) return `more than ${this.#limits.entries} entries`;
      const header = parseHeader(block);
      if (!header.ok) return header.problem;
      const { flag, size } = header.value;
      if (flag === 'x' || flag === 'g' || flag === 'L' || flag === 'K') {
        if (size > this.#limits.meta) return `a header of ${size} bytes`;
        this.#place = 'a header of pax or a long name';
        // A copy, for the block lies in the stream's memory no longer than until the next one is asked for.
        const meta = size === 0 ? nothing : Buffer.from(yield { take: size });
        yield* pad(size);
        // Global headers say nothing that engines heed.
        if (flag === 'x') {
          const records = parsePax(meta);
          if (!records.ok) return records.problem;
          extended = { ...extended, records: records.value };
        } else if (flag === 'L') extended = { ...extended, name: untilZero(meta) };
        else if (flag === 'K') extended = { ...extended, linkName: untilZero(meta) };
        continue;
      }
      const problem = yield* this.#file(header.value, block, extended);
      if (problem !== undefined) return problem;
      extended = { records: [] };
    }
  }

  *#file(header: TarHeader, block: Buffer, extended: Extended): Generator<Need, string | undefined, Buffer> {
    const applied = applyExtended(header, extended);
    if (!applied.ok) return applied.problem;
    const { name, linkName, uid, gid } = applied.value;
    if (Buffer.byteLength(name) > this.#limits.path || Buffer.byteLength(linkName) > this.#limits.path) {
      return `a path of more than ${this.#limits.path} bytes`;
    }
    const path = normalisePath(name);
    this.#place = path;
    // Tars from before POSIX know files and links: a directory is what ends in a slash.
    const flag = header.flag !== '\0' ? header.flag : name.endsWith('/') ? '5' : '0';
    let stored = withoutContent.has(flag) ? 0 : applied.value.size;
    // Padding counts from the archive's content, of which a map within it is a part.
    const padding = stored;
    let size = stored;
    let segments: Segment[] | undefined;
    const map = flag === 'S' ? yield* oldMap(header, block) : readPaxSparse(extended.records);
    if (!map.ok) return map.problem;
    if (map.value !== undefined && !withoutContent.has(flag)) {
      size = map.value.size;
      if ('inData' in map.value) {
        const read = yield* dataMap(stored);
        if (!read.ok) return read.problem;
        segments = read.value.segments;
        stored -= read.value.bytes;
      } else segments = map.value.segments;
      const problem = checkSparse({ segments, size }, stored);
      if (problem !== undefined) return problem;
    }
    const entry = describeEntry(flag, path, { ...header, linkName, uid, gid }, size);
    const wanted = entry === undefined ? undefined : this.#visit(entry);
    const head = wanted === undefined || entry?.type !== 'file' ? 0 : Math.min(wanted.head, size, this.#limits.head);
    const taken = segments === undefined ? head : storedBytes(segments, head);
    const bytes = taken === 0 ? nothing : yield { take: taken };
    if (entry?.type === 'file') wanted?.take(segments === undefined ? bytes : expand(segments, bytes, head));
    if (stored > taken) yield { skip: stored - taken };
    yield* pad(padding);
    return undefined;
  }
}

function* pad(size: number): Generator<Need, void, Buffer> {
  const rest = size % blockSize;
  // The last file's may be missing.
  if (rest > 0) yield { skip: blockSize - rest, mayEnd: true };
}

/** GNU's old form: a map in the header and in blocks after it, which no size counts. */
function* oldMap(
  { gnu }: TarHeader,
  block: Buffer,
): Generator<Need, Parsed<{ segments: Segment[]; size: number }>, Buffer> {
  const size = readNumber(block, 483, 12);
  const first = readOldSegments(block, 386, 4);
  // Star has the same letter for another form.
  if (!gnu || !size.ok || !first.ok || size.value < 0) return bad('a sparse map that is malformed');
  const segments = first.value;
  let more = continues(block, 482);
  for (let blocks = 1; more; blocks += 1) {
    const next = yield { take: blockSize };
    const read = readOldSegments(next, 0, 21);
    if (!read.ok) return read;
    segments.push(...read.value);
    // A block may be empty.
    if (blocks * 21 > maxSegments) return bad('a sparse map of too many segments');
    more = continues(next, 504);
  }
  return good({ segments, size: size.value });
}

function* dataMap(stored: number): Generator<Need, Parsed<{ segments: Segment[]; bytes: number }>, Buffer> {
  const blocks: Buffer[] = [];
  let lines = 0;
  let wanted = 1;
  do {
    if ((blocks.length + 1) * blockSize > stored) return bad('a sparse map that is longer than its file');
    const block = Buffer.from(yield { take: blockSize });
    blocks.push(block);
    const found = countLines(block);
    if (found === 0) return bad('a sparse map that is malformed');
    lines += found;
    if (blocks.length === 1) {
      const count = countMapLines(block);
      if (!count.ok) return count;
      wanted = count.value;
    }
  } while (lines < wanted);
  const segments = readDataMap(Buffer.concat(blocks), wanted);
  return segments.ok ? good({ segments: segments.value, bytes: blocks.length * blockSize }) : segments;
}

function applyExtended(
  header: TarHeader,
  { name, linkName, records }: Extended,
): Parsed<{ name: string; linkName: string; uid: number; gid: number; size: number }> {
  const { uid, gid, size } = header;
  const applied = { name: header.name, linkName: header.linkName, uid, gid, size };
  let sparseName: string | undefined;
  for (const [key, value] of records) {
    // An empty value takes an earlier one back (POSIX, "pax Extended Header").
    if (value === '') continue;
    if (key === 'path') applied.name = value;
    else if (key === 'linkpath') applied.linkName = value;
    else if (key === 'GNU.sparse.name') sparseName = value;
    else if (key === 'size' || key === 'uid' || key === 'gid') {
      const number = parseDecimal(value);
      if (!number.ok) return bad(`a pax record whose ${key} is ${number.problem}`);
      applied[key] = number.value;
    }
  }
  // GNU's own come before those of pax.
  return good({ ...applied, name: sparseName ?? (name || applied.name), linkName: linkName || applied.linkName });
}

function untilZero(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString('utf8', 0, end < 0 ? bytes.length : end);
}
