// What a person writes for the two ends of a copy: a reference of a registry, or `oci:FOLDER[:TAG]`, a layout on disk.
import { resolve } from 'node:path';
import { fail, ok, type Result } from '../failure.ts';
import { parseReference, type Reference } from '../image/reference.ts';

export type Place =
  | { kind: 'registry'; reference: Reference }
  /** The folder is absolute; of the reference, tag and digest count. */
  | { kind: 'layout'; folder: string; reference: Reference };

export function parsePlace(text: string): Result<Place> {
  if (!text.startsWith('oci:')) {
    const reference = parseReference(text);
    return reference.ok ? ok({ kind: 'registry', reference: reference.value }) : reference;
  }
  const match =
    /^oci:(.+?)(?::([A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?(?:@(sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128}))?$/.exec(text);
  if (!match)
    return fail({ kind: 'usage', message: `'${text}' names no folder`, help: 'write oci:FOLDER or oci:FOLDER:TAG' });
  const [, path = '', tag, digest] = match;
  const folder = resolve(path);
  // The name of a layout in messages, and what tells two of them apart.
  const reference = {
    registry: `oci:${folder}`,
    repository: 'layout',
    ...(tag ? { tag } : {}),
    ...(digest ? { digest } : {}),
  };
  return ok({ kind: 'layout', folder, reference });
}

/** `latest` where a reference of a registry says nothing, as everywhere; a layout with one image needs no tag. */
export function withTag(place: Place): Reference {
  const { reference } = place;
  if (place.kind === 'layout' || reference.tag || reference.digest) return reference;
  return { ...reference, tag: 'latest' };
}
