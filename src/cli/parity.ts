// `splitbuild verify --parity`: compares the platforms of an image, or with `--against` a release with another.
import { comparePlatforms, compareReleases, type Located } from '../image/parity/parity.ts';
import type { Platform } from '../image/platform.ts';
import { parityJson, renderParity } from '../report/parity.ts';
import { printFailure } from './load.ts';

export interface ParityOptions {
  /** As the user wrote them, for the last line and the JSON. */
  image: string;
  against?: string | undefined;
  json?: true | undefined;
}

/** Exit code 0: nothing differs that matters; 1: something does, or an image can't be read. */
export async function parity(
  now: Located,
  before: Located | undefined,
  platforms: Platform[],
  { image, against, json }: ParityOptions,
  signal: AbortSignal,
): Promise<number> {
  const report =
    before === undefined
      ? await comparePlatforms(now, platforms, signal)
      : await compareReleases(now, before, platforms, signal);
  if (!report.ok) return printFailure(report.failure);
  // The table goes to stdout, whose colours are its own matter.
  const color = !process.env.NO_COLOR && process.stdout.isTTY === true;
  process.stdout.write(json ? parityJson(image, against, report.value) : renderParity(image, report.value, color));
  return report.value.alike ? 0 : 1;
}
