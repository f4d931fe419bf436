// What a program's first bytes say of the machine that it is for. ELF (System V ABI, gABI 4.1, "ELF Header"; machines from its registry
// and glibc's elf.h), PE (Microsoft's "PE Format"), Mach-O (Apple's mach-o/loader.h and fat.h).

export interface Binary {
  format: 'elf' | 'pe' | 'mach-o';
  /** ELF's e_machine, PE's Machine, Mach-O's cputype; 0 where it is of several or none. */
  machine: number;
  bits: 32 | 64;
  endian: 'little' | 'big';
  type: 'executable' | 'shared' | 'relocatable' | 'core' | 'other';
  /** Of 32-bit ARM, where its flags say it ("ELF for the Arm Architecture", 5.2: EF_ARM_ABI_FLOAT_HARD and _SOFT, of EABI version 5). */
  floatAbi?: 'hard' | 'soft';
  /** Of an ELF program that isn't static: its loader. */
  interpreter?: string;
  /** .NET code in a PE file, which runs on any machine. */
  managed?: boolean;
  /** ELF for a machine without an operating system (ELFOSABI_STANDALONE). */
  standalone?: boolean;
}

/** How many first bytes of a file parseBinary needs at most. The header alone would do with 64; a PE's lies behind a DOS program. */
export const headBytes = 4096;
/** No file shorter than this is a program. */
export const leastBytes = 52;

/** undefined for what is no program. `head` may come from anywhere: nothing in it is taken on trust. */
export function parseBinary(head: Buffer): Binary | undefined {
  if (head.length < leastBytes) return undefined;
  switch (head.readUInt32BE(0)) {
    case 0x7f454c46:
      return parseElf(head);
    case 0xfeedface:
    case 0xfeedfacf:
    case 0xcefaedfe:
    case 0xcffaedfe:
      return parseMachO(head);
    case 0xcafebabe:
      return parseUniversal(head);
    default:
      return head.readUInt16BE(0) === 0x4d5a ? parsePe(head) : undefined;
  }
}

const elfTypes = new Map<number, Binary['type']>([
  [1, 'relocatable'],
  [2, 'executable'],
  [3, 'shared'],
  [4, 'core'],
]);

function parseElf(head: Buffer): Binary | undefined {
  const [classByte, dataByte, version, osAbi] = [head[4], head[5], head[6], head[7]];
  if ((classByte !== 1 && classByte !== 2) || (dataByte !== 1 && dataByte !== 2) || version !== 1) return undefined;
  const bits = classByte === 1 ? 32 : 64;
  const endian = dataByte === 1 ? 'little' : 'big';
  if (bits === 64 && head.length < 64) return undefined;
  const machine = readNumber(head, 18, 2, endian);
  const interpreter = readInterpreter(head, bits, endian);
  const floatAbi = machine === 40 && bits === 32 ? floatAbiOf(readNumber(head, 36, 4, endian)) : undefined;
  return {
    format: 'elf',
    machine,
    bits,
    endian,
    type: elfTypes.get(readNumber(head, 16, 2, endian)) ?? 'other',
    ...(floatAbi ? { floatAbi } : {}),
    ...(interpreter ? { interpreter } : {}),
    ...(osAbi === 255 ? { standalone: true } : {}),
  };
}

function floatAbiOf(flags: number): 'hard' | 'soft' | undefined {
  // In versions of the EABI before 5 these bits mean something else.
  if (flags >>> 24 !== 5) return undefined;
  if (flags & 0x400) return 'hard';
  return flags & 0x200 ? 'soft' : undefined;
}

/** The text that PT_INTERP points at, where it lies within the first bytes, as linkers put it. */
function readInterpreter(head: Buffer, bits: 32 | 64, endian: Binary['endian']): string | undefined {
  const wide = bits === 64;
  const table = readNumber(head, wide ? 32 : 28, wide ? 6 : 4, endian, wide);
  const entrySize = readNumber(head, wide ? 54 : 42, 2, endian);
  const count = readNumber(head, wide ? 56 : 44, 2, endian);
  const least = wide ? 56 : 32;
  if (entrySize < least) return undefined;
  for (let nth = 0; nth < count; nth += 1) {
    const at = table + nth * entrySize;
    if (at + least > head.length) return undefined;
    if (readNumber(head, at, 4, endian) !== 3) continue;
    const offset = readNumber(head, at + (wide ? 8 : 4), wide ? 6 : 4, endian, wide);
    const size = readNumber(head, at + (wide ? 32 : 16), wide ? 6 : 4, endian, wide);
    if (size < 2 || size > 256 || offset + size > head.length) return undefined;
    const text = head.toString('latin1', offset, offset + size - 1);
    return /^[\x20-\x7e]+$/.test(text) ? text : undefined;
  }
  return undefined;
}

/** `eight`: the field has 8 bytes, of which Node reads 6; offsets within a head need no more. */
function readNumber(bytes: Buffer, at: number, size: number, endian: Binary['endian'], eight = false): number {
  return endian === 'little' ? bytes.readUIntLE(at, size) : bytes.readUIntBE(eight ? at + 2 : at, size);
}

function parsePe(head: Buffer): Binary | undefined {
  if (head.length < 64) return undefined;
  const at = head.readUInt32LE(0x3c);
  // Without the signature it is a program of DOS, or anything that begins with "MZ".
  if (at + 26 > head.length || head.readUInt32BE(at) !== 0x50450000) return undefined;
  const machine = head.readUInt16LE(at + 4);
  const characteristics = head.readUInt16LE(at + 22);
  const optional = at + 24;
  const wide = head.readUInt16LE(optional) === 0x20b;
  return {
    format: 'pe',
    machine,
    bits: wide ? 64 : 32,
    endian: 'little',
    type: characteristics & 0x2000 ? 'shared' : 'executable',
    ...(isManaged(head, optional, wide) ? { managed: true } : {}),
  };
}

/** Whether the 15th data directory, the CLR header (ECMA-335, II.25.2.3.3), is there. */
function isManaged(head: Buffer, optional: number, wide: boolean): boolean {
  const count = optional + (wide ? 108 : 92);
  const directory = count + 4 + 14 * 8;
  if (directory + 8 > head.length) return false;
  return head.readUInt32LE(count) > 14 && head.readUInt32LE(directory) !== 0;
}

const machOTypes = new Map<number, Binary['type']>([
  [1, 'relocatable'],
  [2, 'executable'],
  [4, 'core'],
  [6, 'shared'],
  [8, 'shared'],
]);

function parseMachO(head: Buffer): Binary {
  const endian = head[0] === 0xfe ? 'big' : 'little';
  const wide = (endian === 'big' ? head[3] : head[0]) === 0xcf;
  return {
    format: 'mach-o',
    machine: readNumber(head, 4, 4, endian),
    bits: wide ? 64 : 32,
    endian,
    type: machOTypes.get(readNumber(head, 12, 4, endian)) ?? 'other',
  };
}

/** Programs of several machines in one file. Java classes begin alike: their version, from 45 on, stands where the number of machines is. */
function parseUniversal(head: Buffer): Binary | undefined {
  const count = head.readUInt32BE(4);
  if (count === 0 || count > 30) return undefined;
  const wide = (head.readUInt32BE(8) & 0x01000000) !== 0;
  return { format: 'mach-o', machine: 0, bits: wide ? 64 : 32, endian: 'big', type: 'other' };
}
