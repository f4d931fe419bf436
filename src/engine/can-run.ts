// Whether a machine can run a platform's programs, natively or by binfmt_misc: found out by building an image that runs one.
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ok, type Result } from '../failure.ts';
import type { Platform } from '../image/platform.ts';
import type { Engine } from './engine.ts';
import { probeProgram } from './probe-program.ts';

/** An architecture that there is no program for counts as one that can't be run. */
export async function tryProgram(
  build: Engine['build'],
  platform: Platform,
  signal: AbortSignal,
): Promise<Result<boolean>> {
  const program = platform.os === 'linux' ? probeProgram(platform.architecture) : undefined;
  if (!program) return ok(false);
  const folder = await mkdtemp(join(tmpdir(), 'splitbuild-probe-'));
  try {
    await writeFile(join(folder, 'probe'), program);
    await chmod(join(folder, 'probe'), 0o755);
    const built = await build(
      {
        context: folder,
        dockerfile: 'FROM scratch\nCOPY probe /probe\nRUN ["/probe"]\n',
        platform,
        args: {},
        secrets: {},
        reference: undefined,
        plainHttp: false,
        // A cached success would outlive the machine's ability.
        noCache: true,
      },
      () => undefined,
      signal,
    );
    if (built.ok) return ok(true);
    return built.failure.kind === 'build' ? ok(false) : built;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
