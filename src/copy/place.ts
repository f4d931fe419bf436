// What a person writes for the two ends of a copy: a reference of a registry, or `oci:FOLDER[:TAG]`, a layout on disk.
import { resolve } from 'node:path';
import { fail, ok, type Result } from '../failure.ts';
import { formatReference, parseReference, type Reference } from '../image/reference.ts';
import { embeddedName, layoutPrefix } from './anywhere.ts';

const layout = /^oci:(.+?)(?::([A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?(?:@(sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128}))?$/;

/** Of a layout, the folder stands for the registry, absolute and behind `oci:`. */
export function parsePlace(text: string): Result<Reference> {
  if (!text.startsWith(layoutPrefix)) return parseReference(text);
  const match = layout.exec(text);
  if (!match) {
    return fail({ kind: 'usage', message: `'${text}' names no folder`, help: 'write oci:FOLDER or oci:FOLDER:TAG' });
  }
  const [, folder = '', tag, digest] = match;
  const registry = `${layoutPrefix}${resolve(folder)}`;
  return ok({ registry, repository: 'layout', ...(tag ? { tag } : {}), ...(digest ? { digest } : {}) });
}

export function isLayout({ registry }: Reference): boolean {
  return registry.startsWith(layoutPrefix);
}

export function formatPlace(place: Reference): string {
  const { registry, repository, tag, digest } = place;
  const end = `${tag ? `:${tag}` : ''}${digest ? `@${digest}` : ''}`;
  if (isLayout(place)) return `${registry}${end}`;
  return registry === embeddedName ? `${repository}${end}` : formatReference(place);
}

/** `latest` where a reference of a registry says nothing, as everywhere; a layout with one image needs no tag. */
export function withTag(place: Reference): Reference {
  return isLayout(place) || place.tag || place.digest ? place : { ...place, tag: 'latest' };
}

/** A destination that names no tag gets the source's; where that has but a digest, it gets none. */
export function destinationOf(from: Reference, to: Reference): Reference {
  if (to.tag || to.digest) return to;
  const { tag } = withTag(from);
  return tag ? { ...to, tag } : to;
}
