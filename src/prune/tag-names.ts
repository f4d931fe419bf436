// What the name of a tag says of it: which are a run's own, which belong to another tag or to a manifest, which are a person's.
import type { Digest } from '../image/oci.ts';

export type TagName =
  /** What a run pushed before it was published: `20261125-061500-1f3a9c` or `20261125-061500-1f3a9c-arm64`. */
  | { kind: 'staged'; run: string }
  /** A build's key: `splitbuild-key-…`. */
  | { kind: 'key' }
  /** An index of a tag's present and previous digests, which rollback goes by: `splitbuild-develop`. */
  | { kind: 'record'; of: string }
  /**
   * What belongs to a manifest: the list of its referrers (`sha256-<hex>`, distribution-spec, "Referrers Tag Schema") and what
   * cosign keeps under that name with an ending (`.sig`, `.att`, `.sbom`). Undefined where the name doesn't tell it whole.
   */
  | { kind: 'attached'; subject: Digest | undefined }
  | { kind: 'plain' };

const ownPrefix = 'splitbuild-';

export function readTagName(tag: string): TagName {
  const run = /^(\d{8}-\d{6}-[0-9a-f]{6})(?:-[A-Za-z0-9_.-]+)?$/.exec(tag)?.[1];
  if (run !== undefined && startOfRun(run) !== undefined) return { kind: 'staged', run };
  if (tag.startsWith(`${ownPrefix}key-`)) return { kind: 'key' };
  if (tag.startsWith(ownPrefix) && tag.length > ownPrefix.length)
    return { kind: 'record', of: tag.slice(ownPrefix.length) };
  const attached = /^(sha256|sha512)-([0-9a-f]{64})(?:\.[A-Za-z0-9_.-]+)?$/.exec(tag);
  // The hash of a sha512 is cut off in a tag.
  if (attached) return { kind: 'attached', subject: attached[1] === 'sha256' ? `sha256:${attached[2]}` : undefined };
  return { kind: 'plain' };
}

/** Ms since the epoch; undefined where the digits are no time. */
export function startOfRun(run: string): number | undefined {
  const digits = /^(\d{4})(\d\d)(\d\d)-(\d\d)(\d\d)(\d\d)-/.exec(run);
  if (!digits) return undefined;
  const [, year, month, day, hour, minute, second] = digits;
  const text = `${year}-${month}-${day}T${hour}:${minute}:${second}.000Z`;
  const time = Date.parse(text);
  // Date.parse takes the 31st of June for the 1st of July.
  return !Number.isNaN(time) && new Date(time).toISOString() === text ? time : undefined;
}

/** Whether a pattern names one tag alone. */
export function isExact(pattern: string): boolean {
  return !/[*?]/.test(pattern);
}

/** `*` stands for any characters, `?` for one; all others for themselves. */
export function matchesTag(tag: string, pattern: string): boolean {
  const source = pattern
    .replace(/[\\^$.|+()[\]{}]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${source}$`, 's').test(tag);
}
