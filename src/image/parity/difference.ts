// The vocabulary of a comparison: what is compared, what differs, and whether that matters.

import type { Digest } from '../oci.ts';
import type { ImagePackages } from '../packages/databases.ts';
import type { Platform } from '../platform.ts';
import type { ConfigArea, ConfigFact } from './config-facts.ts';
import type { FileFacts } from './file-system.ts';

/** One image of one platform, read. */
export interface Side extends ImagePackages {
  /** What its column is called: `linux/arm64`; `before` or `now`. */
  column: string;
  platform: Platform;
  digest: Digest;
  /** Bytes of config and layers, compressed. */
  size: number;
  config: ConfigFact[];
  files: Map<string, FileFacts>;
}

/** Platforms of one image, or releases of one platform: the latter may differ in what says which release it is. */
export type Kind = 'platforms' | 'releases';

export type Area = ConfigArea | 'platform' | 'package database' | 'package' | 'file' | 'size';

export interface Difference {
  area: Area;
  /** Of the package, the variable, the path …; empty where an image has only one such. */
  name: string;
  /** Whether it is a reason to hold the image back: the exit code is 1. The others are only told. */
  matters: boolean;
  /** One a column; undefined where that one has no such thing. */
  values: (string | undefined)[];
  /** Why it does not matter, or what it means. */
  reason?: string;
}

/** The difference, if any, of what the sides have of one thing. */
export function differ(values: (string | undefined)[]): boolean {
  return values.some((value) => value !== values[0]);
}
