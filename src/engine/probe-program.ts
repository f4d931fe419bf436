// The smallest static ELF program of an architecture: it exits with 0. An engine that can run it can run that architecture's images.
// Layout: System V ABI, ELF header and one program header, then the code; `exit` by the number that Linux gives it there.

interface Target {
  bits: 32 | 64;
  endian: 'little' | 'big';
  /** e_machine (https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html). */
  machine: number;
  flags: number;
  code: number[];
}

const targets: Record<string, Target> = {
  // mov eax, 60; xor edi, edi; syscall
  amd64: target(64, 0x3e, 0, [0xb8, 0x3c, 0, 0, 0, 0x31, 0xff, 0x0f, 0x05]),
  // mov eax, 1; xor ebx, ebx; int 0x80
  '386': target(32, 0x03, 0, [0xb8, 1, 0, 0, 0, 0x31, 0xdb, 0xcd, 0x80]),
  // mov x0, 0; mov x8, 93; svc 0
  arm64: target(64, 0xb7, 0, words([0xd2800000, 0xd2800ba8, 0xd4000001])),
  // mov r0, 0; mov r7, 1; svc 0 (EABI version 5)
  arm: target(32, 0x28, 0x05000000, words([0xe3a00000, 0xe3a07001, 0xef000000])),
  // li a0, 0; li a7, 93; ecall
  riscv64: target(64, 0xf3, 0, words([0x00000513, 0x05d00893, 0x00000073])),
  // li r0, 1; li r3, 0; sc (ELF version 2 ABI)
  ppc64le: target(64, 0x15, 2, words([0x38000001, 0x38600000, 0x44000002])),
  // lghi %r2, 0; svc 1
  s390x: { ...target(64, 0x16, 0, [0xa7, 0x29, 0, 0, 0x0a, 0x01]), endian: 'big' },
};

function target(bits: 32 | 64, machine: number, flags: number, code: number[]): Target {
  return { bits, endian: 'little', machine, flags, code };
}

function words(instructions: number[]): number[] {
  return instructions.flatMap((word) => [word & 0xff, (word >>> 8) & 0xff, (word >>> 16) & 0xff, word >>> 24]);
}

/** The program's bytes, or undefined for an architecture that has none here. */
export function probeProgram(architecture: string): Uint8Array | undefined {
  const found = targets[architecture];
  if (!found) return undefined;
  const { bits, endian, machine, flags, code } = found;
  const wide = bits === 64;
  const headerSize = wide ? 64 : 52;
  const programHeaderSize = wide ? 56 : 32;
  const start = headerSize + programHeaderSize;
  const size = start + code.length;
  const base = 0x10000;
  const bytes = Buffer.alloc(size);
  let at = 0;
  const put = (width: 1 | 2 | 4 | 8, value: number): void => {
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    const little = endian === 'little';
    if (width === 1) view.setUint8(at, value);
    else if (width === 2) view.setUint16(at, value, little);
    else if (width === 4) view.setUint32(at, value, little);
    else view.setBigUint64(at, BigInt(value), little);
    at += width;
  };
  const word = wide ? 8 : 4;
  for (const byte of [0x7f, 0x45, 0x4c, 0x46, wide ? 2 : 1, endian === 'little' ? 1 : 2, 1, 0]) put(1, byte);
  at = 16;
  put(2, 2); // ET_EXEC
  put(2, machine);
  put(4, 1);
  put(word, base + start); // e_entry
  put(word, headerSize); // e_phoff
  put(word, 0); // e_shoff
  put(4, flags);
  put(2, headerSize);
  put(2, programHeaderSize);
  put(2, 1); // e_phnum
  at = headerSize;
  put(4, 1); // PT_LOAD
  if (wide) put(4, 5); // readable, executable
  put(word, 0);
  put(word, base);
  put(word, base);
  put(word, size);
  put(word, size);
  if (!wide) put(4, 5);
  put(word, 0x1000);
  bytes.set(code, start);
  return bytes;
}
