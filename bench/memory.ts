// Memory of a run of a thousand images on simulated engines, with the journal on disk and the output of builds as CI logs get it: the most
// that the process had, with little output and with a hundred times as much. The registry is in the same process, and counts too.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import type { Measurement } from './measurement.ts';
import { output } from './peers.ts';
import { takeTurns } from './turns.ts';

const images = 1_000;
const lines = 200;
const mib = 1 << 20;

export async function measure(rounds = 3): Promise<Measurement> {
  const little = `${lines / 100} lines a build`;
  const turns = await inBundle((program) => {
    const peak = async (each: number): Promise<number> =>
      Number(await output(process.execPath, [program, `${each}`])) / mib;
    return takeTurns(
      [
        { name: `${lines} lines a build`, version: '', run: () => peak(lines) },
        { name: little, version: '', run: () => peak(lines / 100) },
      ],
      rounds,
    );
  });
  return {
    name: 'memory of a run of 1,000 images',
    ...turns,
    unit: 'MiB',
    target: '200 MiB, whatever the builds print',
    reached: ({ ours, peer }) => ours <= 200 && ours <= 1.15 * peer(little),
    note: `${images} images for two platforms, ${((2 * images * lines * 100) / mib).toFixed(0)} MiB of output of builds. The registry and the engines are simulated in the same process.`,
  };
}

/** The run as people run the program, bundled: from source, Node takes some 20 MiB for leaving out the types. */
async function inBundle<T>(work: (program: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'splitbuild-bench-'));
  try {
    const program = join(folder, 'memory.mjs');
    await build({
      entryPoints: [join(import.meta.dirname, 'memory-run.ts')],
      ...{ outfile: program, bundle: true, format: 'esm', platform: 'node', target: 'node22.12' },
      banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
    });
    return await work(program);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
