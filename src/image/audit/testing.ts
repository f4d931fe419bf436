// Headers of programs for tests, written field by field from the specifications (gABI's "ELF Header", Microsoft's "PE Format",
// mach-o/loader.h), so that what reads them is held to those.

export interface TestElf {
  machine: number;
  bits?: 32 | 64;
  endian?: 'little' | 'big';
  /** ET_REL 1, ET_EXEC 2, ET_DYN 3, ET_CORE 4 */
  type?: number;
  flags?: number;
  osAbi?: number;
  interpreter?: string;
}

export function elf(options: TestElf): Buffer {
  const { machine, bits = 64, endian = 'little', type = 2, flags = 0, osAbi = 0, interpreter } = options;
  const wide = bits === 64;
  const [headerSize, entrySize] = wide ? [64, 56] : [52, 32];
  const bytes = Buffer.alloc(512);
  const put = (value: number, at: number, size: 2 | 4 | 8) => {
    const low = size === 8 ? at + (endian === 'big' ? 4 : 0) : at;
    const width = size === 8 ? 4 : size;
    if (endian === 'big') bytes.writeUIntBE(value, low, width);
    else bytes.writeUIntLE(value, low, width);
  };
  const word = wide ? 8 : 4;
  bytes.write('\x7fELF', 'latin1');
  bytes.set([wide ? 2 : 1, endian === 'little' ? 1 : 2, 1, osAbi], 4);
  put(type, 16, 2);
  put(machine, 18, 2);
  put(1, 20, 4);
  put(headerSize, wide ? 32 : 28, word);
  put(flags, wide ? 48 : 36, 4);
  put(headerSize, wide ? 52 : 40, 2);
  put(entrySize, wide ? 54 : 42, 2);
  put(interpreter === undefined ? 0 : 1, wide ? 56 : 44, 2);
  if (interpreter !== undefined) {
    const text = 256;
    put(3, headerSize, 4);
    put(text, headerSize + (wide ? 8 : 4), word);
    put(interpreter.length + 1, headerSize + (wide ? 32 : 16), word);
    bytes.write(`${interpreter}\0`, text);
  }
  return bytes;
}

export const amd64 = elf({ machine: 62 });
export const i386 = elf({ machine: 3, bits: 32 });
export const arm64 = elf({ machine: 183 });
/** EABI version 5 with EF_ARM_ABI_FLOAT_HARD or _SOFT. */
export const armHard = elf({
  machine: 40,
  bits: 32,
  type: 3,
  flags: 0x05000400,
  interpreter: '/lib/ld-linux-armhf.so.3',
});
export const armSoft = elf({ machine: 40, bits: 32, type: 3, flags: 0x05000200, interpreter: '/lib/ld-linux.so.3' });

export function pe(machine: number, { wide = true, managed = false, at = 0x80, dll = false } = {}): Buffer {
  const bytes = Buffer.alloc(1024);
  bytes.write('MZ');
  bytes.writeUInt32LE(at, 0x3c);
  bytes.write('PE\0\0', at, 'latin1');
  bytes.writeUInt16LE(machine, at + 4);
  bytes.writeUInt16LE(dll ? 0x2022 : 0x22, at + 22);
  bytes.writeUInt16LE(wide ? 0x20b : 0x10b, at + 24);
  const directories = at + 24 + (wide ? 112 : 96);
  bytes.writeUInt32LE(16, directories - 4);
  if (managed) bytes.writeUInt32LE(0x2008, directories + 14 * 8);
  return bytes;
}

export function machO(cpu: number, magic = 0xcffaedfe): Buffer {
  const bytes = Buffer.alloc(64);
  bytes.writeUInt32BE(magic, 0);
  const little = (magic & 0xff) === 0xfe;
  const put = (value: number, at: number) => (little ? bytes.writeUInt32LE(value, at) : bytes.writeUInt32BE(value, at));
  put(cpu, 4);
  put(2, 12);
  return bytes;
}
