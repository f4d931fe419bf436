// What `splitbuild join` is asked and says, for the quick way and the whole one.
import { fail, ok, type Result } from '../failure.ts';
import type { Joined } from '../image/join-images.ts';
import { formatPlatform } from '../image/platform.ts';
import { parseReference, type Reference } from '../image/reference.ts';

export interface JoinRequest {
  /** As it was written. */
  name: string;
  target: Reference;
  sources: Reference[];
}

/** `words`: TAG SRC…; where a reference has no tag, `latest` is meant. */
export function readRequest([name = '', ...sources]: string[]): Result<JoinRequest> {
  if (sources.length === 0) return usage('a tag and the images to join are wanted');
  const references: Reference[] = [];
  for (const text of [name, ...sources]) {
    const parsed = parseReference(text);
    if (!parsed.ok) return parsed;
    const { tag, digest } = parsed.value;
    references.push({ ...parsed.value, ...(tag || digest ? {} : { tag: 'latest' }) });
  }
  const [target, ...rest] = references;
  if (!target || target.digest !== undefined)
    return usage(`${name} is no tag: what is joined gets a digest of its own`);
  return ok({ name, target, sources: rest });
}

export function usage(message: string): Result<never> {
  return fail({
    kind: 'usage',
    message,
    help: 'splitbuild join reg.example/app:1 reg.example/app:1-amd64 reg.example/app:1-arm64',
  });
}

export function formatJoined({ name }: JoinRequest, { digest, mediaType, platforms }: Joined, json: boolean): string {
  if (json) {
    const each = platforms.map(({ platform, ...rest }) => ({ platform: formatPlatform(platform), ...rest }));
    return `${JSON.stringify({ image: name, digest, mediaType, platforms: each })}\n`;
  }
  return `${name}  ${digest}  ${platforms.map(({ platform }) => formatPlatform(platform)).join(', ')}\n`;
}
