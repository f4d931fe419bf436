// The programs are run: natively, and by QEMU's user emulators where they are installed.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { probeProgram } from './probe-program.ts';

const folder = mkdtempSync(join(tmpdir(), 'splitbuild-test-'));
afterAll(() => rmSync(folder, { recursive: true }));

const emulators: Record<string, string> = {
  amd64: 'x86_64',
  '386': 'i386',
  arm64: 'aarch64',
  arm: 'arm',
  riscv64: 'riscv64',
  ppc64le: 'ppc64le',
  s390x: 's390x',
};

test.each(Object.entries(emulators))('the program of %s exits with 0', (architecture, emulator) => {
  const program = probeProgram(architecture);
  expect(program?.length).toBeLessThan(200);
  const file = join(folder, architecture);
  writeFileSync(file, program ?? '', { mode: 0o755 });
  const ran = spawnSync(`qemu-${emulator}-static`, [file]);
  // Without QEMU, the bytes above are all that can be looked at.
  if (ran.error === undefined) expect(ran.status).toBe(0);
});

test('an unknown architecture has none', () => {
  expect(probeProgram('mips')).toBeUndefined();
});
