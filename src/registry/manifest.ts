// Tells manifests and indexes apart and checks them where they come in.
import { fail, ok, type Result } from '../failure.ts';
import { type Index, indexSchema, isIndexType, type Manifest, manifestSchema, mediaTypes } from '../image/oci.ts';

export interface ParsedManifest {
  mediaType: string;
  content: Manifest | Index;
  /** The content again, where it is an index. */
  index?: Index;
  /** The content again, where it is a manifest. */
  manifest?: Manifest;
}

export const manifestTypes: readonly string[] = [
  mediaTypes.ociIndex,
  mediaTypes.ociManifest,
  mediaTypes.dockerList,
  mediaTypes.dockerManifest,
];

/**
 * What is read of an index, or of a manifest's layers, costs requests for each entry: no image has as many platforms, nor layers (an overlay of
 * Linux takes 500, an artifact some more).
 */
const maxEntries = { manifests: 1000, layers: 5000 };

/**
 * Parses a manifest or an index. The JSON's own `mediaType` wins over the header's: it is covered by the digest. With
 * neither, the shape tells (image-spec says `mediaType` SHOULD be there, not MUST).
 */
export function parseManifest(
  bytes: Uint8Array,
  contentType: string | undefined,
  where: string,
): Result<ParsedManifest> {
  const wrong = (message: string): Result<never> => fail({ kind: 'verification', message, where });
  let json: unknown;
  try {
    json = JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch {
    return wrong('what the registry gave for the manifest is not JSON');
  }
  const header = contentType?.split(';')[0]?.trim();
  const mediaType = stringIn(json, 'mediaType') ?? (header && manifestTypes.includes(header) ? header : guess(json));
  if (mediaType === undefined || !manifestTypes.includes(mediaType)) {
    return wrong(`'${mediaType ?? header ?? 'nothing'}' is not a media type of an image or an index`);
  }
  const malformed = ([issue]: { path: PropertyKey[]; message: string }[]): Result<never> =>
    wrong(`the manifest is malformed at '${issue?.path.join('.') ?? ''}': ${issue?.message ?? ''}`);
  for (const [list, limit] of [
    ['manifests', maxEntries.manifests],
    ['layers', maxEntries.layers],
  ] as const) {
    const entries = lengthOf(json, list);
    if (entries > limit) return wrong(`it names ${entries} ${list}; ${limit} are read at most`);
  }
  if (isIndexType(mediaType)) {
    const index = indexSchema.safeParse(json);
    return index.success ? ok({ mediaType, content: index.data, index: index.data }) : malformed(index.error.issues);
  }
  const manifest = manifestSchema.safeParse(json);
  return manifest.success
    ? ok({ mediaType, content: manifest.data, manifest: manifest.data })
    : malformed(manifest.error.issues);
}

function guess(json: unknown): string | undefined {
  if (typeof json !== 'object' || json === null) return undefined;
  if ('manifests' in json) return mediaTypes.ociIndex;
  return 'config' in json && 'layers' in json ? mediaTypes.ociManifest : undefined;
}

/** Before the schema looks at each of them. */
function lengthOf(json: unknown, key: 'manifests' | 'layers'): number {
  const entries: unknown = typeof json === 'object' && json !== null ? Reflect.get(json, key) : undefined;
  return Array.isArray(entries) ? entries.length : 0;
}

function stringIn(json: unknown, key: 'mediaType'): string | undefined {
  if (typeof json !== 'object' || json === null || !(key in json)) return undefined;
  const value = json[key];
  return typeof value === 'string' ? value : undefined;
}
