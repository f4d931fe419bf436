// Where links lead, asked in the order in which an image's files are looked at: what is remembered must change no answer.
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createRealPath } from './outside.ts';

test('a path leads where realpath(3) says, whatever was asked before', () => {
  const top = realpathSync(mkdtempSync(join(tmpdir(), 'splitbuild-links-')));
  try {
    for (const folder of ['family/plain', 'elsewhere']) mkdirSync(join(top, folder), { recursive: true });
    writeFileSync(join(top, 'elsewhere/Dockerfile'), 'FROM scratch\n');
    writeFileSync(join(top, 'family/plain/Dockerfile'), 'FROM scratch\n');
    symlinkSync('../elsewhere', join(top, 'family/linked'));
    symlinkSync('../../elsewhere/Dockerfile', join(top, 'family/plain/Other'));
    symlinkSync('nowhere', join(top, 'family/broken'));
    const real = createRealPath();
    expect(real(join(top, 'family'))).toBe(join(top, 'family'));
    expect(real(join(top, 'family/plain'))).toBe(join(top, 'family/plain'));
    expect(real(join(top, 'family/plain/Dockerfile'))).toBe(join(top, 'family/plain/Dockerfile'));
    expect(real(join(top, 'family/plain/Other'))).toBe(join(top, 'elsewhere/Dockerfile'));
    expect(real(join(top, 'family/linked'))).toBe(join(top, 'elsewhere'));
    expect(real(join(top, 'family/linked/Dockerfile'))).toBe(join(top, 'elsewhere/Dockerfile'));
    for (const gone of ['broken', 'missing', 'plain/Dockerfile/below'])
      expect(real(join(top, 'family', gone))).toBeUndefined();
  } finally {
    rmSync(top, { recursive: true, force: true });
  }
});
