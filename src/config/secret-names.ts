// The names of all secrets of a file, also of one that is wrong otherwise: what is said of it must not hold their values.
import type { ParsedFile } from './parse.ts';
import { asMap, asTexts, entriesOf } from './tree.ts';

export function secretNames({ value }: ParsedFile): string[] {
  const file = asMap(value);
  const owners = [file?.defaults, ...entriesOf(file?.images).map(([, image]) => image)];
  return [...new Set(owners.flatMap((owner) => asTexts(asMap(owner)?.secrets, []).map(({ text }) => text)))];
}
