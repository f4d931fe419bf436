// Headers made by the specifications, and those of this machine's programs beside what readelf says of them.
import { spawnSync } from 'node:child_process';
import { closeSync, openSync, readdirSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseBinary } from './binary.ts';
import { describeBinary } from './expect.ts';
import { amd64, arm64, armHard, armSoft, elf, i386, machO, pe } from './testing.ts';

const said = (head: Buffer) => {
  const binary = parseBinary(head);
  return binary && describeBinary(binary);
};

describe('ELF', () => {
  test.each([
    [amd64, 'ELF 64-bit x86-64'],
    [i386, 'ELF 32-bit Intel 80386'],
    [arm64, 'ELF 64-bit AArch64'],
    [elf({ machine: 183, endian: 'big' }), 'ELF 64-bit AArch64 big-endian'],
    [armHard, 'ELF 32-bit ARM hard-float'],
    [armSoft, 'ELF 32-bit ARM soft-float'],
    [elf({ machine: 40, bits: 32, flags: 0x05000002 }), 'ELF 32-bit ARM'],
    [elf({ machine: 40, bits: 32, flags: 0x04000400 }), 'ELF 32-bit ARM'],
    [elf({ machine: 21 }), 'ELF 64-bit PowerPC64 little-endian'],
    [elf({ machine: 21, endian: 'big' }), 'ELF 64-bit PowerPC64 big-endian'],
    [elf({ machine: 22, endian: 'big' }), 'ELF 64-bit IBM S/390'],
    [elf({ machine: 243 }), 'ELF 64-bit RISC-V'],
    [elf({ machine: 8 }), 'ELF 64-bit MIPS little-endian'],
    [elf({ machine: 258 }), 'ELF 64-bit LoongArch'],
    [elf({ machine: 247, type: 1 }), 'ELF 64-bit Linux BPF'],
    [elf({ machine: 190 }), 'ELF 64-bit NVIDIA CUDA'],
    [elf({ machine: 9999 }), 'ELF 64-bit machine 9999'],
  ])('%# is read as %s', (head, words) => {
    expect(said(head)).toBe(words);
  });

  test('type and loader are read in both widths and orders', () => {
    for (const bits of [32, 64] as const) {
      for (const endian of ['little', 'big'] as const) {
        const interpreter = '/lib/ld-musl-mips.so.1';
        const head = elf({ machine: 8, bits, endian, type: 3, interpreter });
        expect(parseBinary(head)).toEqual({ format: 'elf', machine: 8, bits, endian, type: 'shared', interpreter });
      }
    }
    expect([1, 2, 3, 4, 0xfe00].map((type) => parseBinary(elf({ machine: 62, type }))?.type)).toEqual([
      'relocatable',
      'executable',
      'shared',
      'core',
      'other',
    ]);
  });

  test('what only begins like one is none', () => {
    const changed = (at: number, byte: number) => {
      const head = Buffer.from(amd64);
      head[at] = byte;
      return head;
    };
    for (const head of [
      changed(4, 3),
      changed(5, 0),
      changed(6, 0),
      amd64.subarray(0, 60),
      Buffer.from('\x7fELF text'),
    ]) {
      expect(parseBinary(head)).toBeUndefined();
    }
  });
});

describe('PE and Mach-O', () => {
  test.each([
    [pe(0x8664), 'PE 64-bit x86-64'],
    [pe(0x14c, { wide: false }), 'PE 32-bit Intel 80386'],
    [pe(0xaa64, { dll: true }), 'PE 64-bit AArch64'],
    [pe(0x14c, { wide: false, managed: true }), 'PE of .NET'],
    [pe(0x8664, { managed: true, at: 0x200 }), 'PE of .NET'],
    [machO(0x01000007), 'Mach-O 64-bit x86-64'],
    [machO(0x0100000c), 'Mach-O 64-bit AArch64'],
    [machO(7, 0xcefaedfe), 'Mach-O 32-bit Intel 80386'],
    [Buffer.from('cafebabe00000002'.padEnd(128, '0'), 'hex'), 'Mach-O 32-bit of several machines'],
  ])('%# is read as %s', (head, words) => {
    expect(said(head)).toBe(words);
  });

  test('Java classes and programs of DOS are neither', () => {
    // Version 61 is Java 17's (JVM specification, 4.1).
    expect(parseBinary(Buffer.from('cafebabe0000003d'.padEnd(128, '0'), 'hex'))).toBeUndefined();
    expect(parseBinary(Buffer.concat([Buffer.from('MZ'), Buffer.alloc(200)]))).toBeUndefined();
    expect(parseBinary(pe(0x8664, { at: 0x80 }).subarray(0, 0x90))).toBeUndefined();
  });
});

test('any bytes are read without an error', () => {
  const heads = [
    amd64,
    armHard,
    elf({ machine: 8, endian: 'big', bits: 32, interpreter: '/x' }),
    pe(0x8664, { managed: true }),
    machO(7),
  ];
  const changes = fc.array(fc.tuple(fc.nat({ max: 400 }), fc.constantFrom(0, 1, 0x7f, 0x80, 0xff)), { maxLength: 12 });
  fc.assert(
    fc.property(fc.constantFrom(...heads), changes, fc.nat({ max: 600 }), (head, changed, length) => {
      const bytes = Buffer.from(head);
      for (const [at, byte] of changed) if (at > 3) bytes[at % bytes.length] = byte;
      const binary = parseBinary(bytes.subarray(0, length));
      if (binary) expect(describeBinary(binary)).toMatch(/^(ELF|PE|Mach-O) /);
    }),
    { numRuns: 2000 },
  );
});

function headOf(file: string): Buffer {
  const opened = openSync(file, 'r');
  try {
    const bytes = Buffer.alloc(4096);
    return bytes.subarray(0, readSync(opened, bytes));
  } finally {
    closeSync(opened);
  }
}

const hasReadelf = spawnSync('readelf', ['--version']).status === 0;

test.skipIf(!hasReadelf)("this machine's programs are read as readelf reads them", () => {
  const files = [
    process.execPath,
    ...readdirSync('/usr/bin')
      .filter((name) => statSync(join('/usr/bin', name), { throwIfNoEntry: false })?.isFile())

      .slice(0, 150)
      .map((name) => join('/usr/bin', name)),
  ];
  const types = { REL: 'relocatable', EXEC: 'executable', DYN: 'shared' } as const;
  let compared = 0;
  for (const file of files) {
    const { status, stdout, stderr } = spawnSync('readelf', ['-W', '-h', '-l', file], {
      encoding: 'utf8',
      env: { LC_ALL: 'C' },
    });
    const binary = parseBinary(headOf(file));
    if (status !== 0 || stderr.includes('Error')) {
      expect(binary?.format).not.toBe('elf');
      continue;
    }
    const field = (name: string) => new RegExp(`^ *${name}: *(.*)$`, 'm').exec(stdout)?.[1] ?? '';
    expect({ file, bits: `ELF${binary?.bits}`, type: binary?.type }).toEqual({
      file,
      bits: field('Class'),
      type: types[field('Type').split(' ')[0] as keyof typeof types],
    });
    expect(field('Data')).toContain(`${binary?.endian} endian`);
    expect(binary?.interpreter).toBe(/Requesting program interpreter: (.*)\]/.exec(stdout)?.[1]);
    compared += 1;
  }
  expect(compared).toBeGreaterThan(10);
});
