// Gives each image what the defaults say, before variables are expanded: an image's own variables count there as well. Such a
// value is shown where it is written, under `defaults`.
import type { ParsedFile } from './parse.ts';
import { sharedKeys } from './schema.ts';
import { asMap, entriesOf } from './tree.ts';

/** The file's data with the defaults in every image; the file's own data is left alone. */
export function inheritDefaults(raw: Record<string, unknown>): Record<string, unknown> {
  const defaults = asMap(raw.defaults);
  const images = asMap(raw.images);
  if (!defaults || !images) return raw;
  const filled = Object.entries(images).map(([name, image]): [string, unknown] => {
    const own = asMap(image);
    return [name, own ? inherit(own, defaults) : image];
  });
  return { ...raw, images: Object.fromEntries(filled) };
}

function inherit(image: Record<string, unknown>, defaults: Record<string, unknown>): Record<string, unknown> {
  const given = sharedKeys.flatMap((key): [string, unknown][] => {
    const value = defaults[key] ?? undefined;
    if (value === undefined) return [];
    if (!Object.hasOwn(image, key)) return [[key, value]];
    const [own, common] = [asMap(image[key]), asMap(value)];
    return key === 'args' && own && common ? [[key, { ...common, ...own }]] : [];
  });
  return { ...image, ...Object.fromEntries(given) };
}

/** The same file, in which the place of what an image has from the defaults is that of the default. */
export function withInherited(parsed: ParsedFile): ParsedFile {
  const images = new Set(entriesOf(asMap(parsed.value)?.images).map(([name]) => name));
  return {
    ...parsed,
    spot: (path) => {
      const [top, name, ...rest] = path;
      const own = parsed.spot(path);
      if (own || top !== 'images' || rest.length === 0 || !images.has(String(name))) return own;
      return parsed.spot(['defaults', ...rest]);
    },
  };
}
