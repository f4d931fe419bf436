// Tells manifests and indexes apart and checks them where they come in.
import { fail, ok, type Result } from '../failure.ts';
import { type Index, indexSchema, isIndexType, type Manifest, manifestSchema, mediaTypes } from '../image/oci.ts';

export interface ParsedManifest {
  mediaType: string;
  content: Manifest | Index;
}

export const manifestTypes: readonly string[] = [
  mediaTypes.ociIndex,
  mediaTypes.ociManifest,
  mediaTypes.dockerList,
  mediaTypes.dockerManifest,
];

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
  const parsed = isIndexType(mediaType) ? indexSchema.safeParse(json) : manifestSchema.safeParse(json);
  if (parsed.success) return ok({ mediaType, content: parsed.data });
  const [issue] = parsed.error.issues;
  return wrong(`the manifest is malformed at '${issue?.path.join('.') ?? ''}': ${issue?.message ?? ''}`);
}

function guess(json: unknown): string | undefined {
  if (typeof json !== 'object' || json === null) return undefined;
  if ('manifests' in json) return mediaTypes.ociIndex;
  return 'config' in json && 'layers' in json ? mediaTypes.ociManifest : undefined;
}

function stringIn(json: unknown, key: 'mediaType'): string | undefined {
  if (typeof json !== 'object' || json === null || !(key in json)) return undefined;
  const value = json[key];
  return typeof value === 'string' ? value : undefined;
}
