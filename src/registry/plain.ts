// What joining needs of a registry that speaks plain HTTP and wants no login: the shortest way there is, for who starts, joins and ends. It
// checks what the whole client checks, and gives up on all that is out of the ordinary, without a word of why: the whole client has them.
import { fail, ok, type Result } from '../failure.ts';
import type { JoinStore } from '../image/join-images.ts';
import { mediaTypes } from '../image/media-types.ts';
import type { Descriptor, Manifest } from '../image/oci.ts';
import { formatReference } from '../image/reference.ts';
import { corrupt, digestOf, manifestDigest } from './digest.ts';
import { acceptManifests, blobPath, manifestPath } from './paths.ts';
import { type Connection, openConnection, type PlainAnswer, type Request } from './wire.ts';

export interface PlainRegistry extends JoinStore {
  close(): void;
}

const unusual: Result<never> = fail({ kind: 'registry', transient: true, message: 'this is for the whole client' });

/** `registry`: the host and port of all references that it will be asked for. */
export function createPlainRegistry(registry: string): PlainRegistry {
  const home = new URL(`http://${registry}/`);
  const open = new Set<Connection>();
  const free: Connection[] = [];
  // What hashes takes as long to load as a registry to answer, and does so meanwhile.
  setImmediate(() => digestOf(Buffer.alloc(0), undefined));

  async function exchange(request: Request): Promise<PlainAnswer | undefined> {
    const connection = free.pop() ?? openConnection(home);
    open.add(connection);
    try {
      const headers = { 'user-agent': 'splitbuild', ...request.headers };
      const answer = await connection.exchange({ ...request, headers });
      free.push(connection);
      return answer;
    } catch {
      return undefined;
    }
  }

  return {
    getManifest: async (reference) => {
      const where = formatReference(reference);
      const answer = await exchange({
        method: 'GET',
        path: manifestPath(reference),
        headers: { accept: acceptManifests },
      });
      if (!answer) return unusual;
      const { bytes } = answer;
      const digest = manifestDigest(bytes, reference.digest, answer.headers.get('docker-content-digest'), where);
      if (!digest.ok) return digest;
      const content = parseManifest(bytes);
      if (!content) return unusual;
      const { mediaType } = content;
      return ok({ descriptor: { mediaType, digest: digest.value, size: bytes.length }, bytes, content });
    },
    readBlob: async (repository, digest) => {
      const answer = await exchange({ method: 'GET', path: blobPath(repository, digest), headers: {} });
      if (!answer) return unusual;
      const got = digestOf(answer.bytes, digest);
      return got === digest ? ok(answer.bytes) : corrupt(formatReference({ ...repository, digest }), digest, got);
    },
    // Asked only where what was put wasn't confirmed.
    headManifest: async () => unusual,
    putManifest: async (reference, body, mediaType) => {
      const headers = { 'content-type': mediaType };
      const answer = await exchange({ method: 'PUT', path: manifestPath(reference), headers, body });
      return answer
        ? ok({ confirmed: answer.headers.get('docker-content-digest') === digestOf(body, undefined) })
        : unusual;
    },
    close: () => {
      for (const connection of open) connection.close();
    },
  };
}

/** An image's manifest that says what it is. By hand: a schema's library takes longer to load than all the rest together. */
function parseManifest(bytes: Buffer): (Manifest & { mediaType: string }) | undefined {
  try {
    const json: unknown = JSON.parse(bytes.toString('utf8'));
    return isManifest(json) ? json : undefined;
  } catch {
    return undefined;
  }
}

const manifestKeys = new Set(['schemaVersion', 'mediaType', 'config', 'layers']);
const descriptorKeys = new Set(['mediaType', 'digest', 'size']);
const imageTypes: unknown[] = [mediaTypes.ociManifest, mediaTypes.dockerManifest];

/** The plainest kind alone: annotations, artifacts, subjects and what else there is are left to the schema. */
function isManifest(json: unknown): json is Manifest & { mediaType: string } {
  if (!hasOnly(json, manifestKeys)) return false;
  const { schemaVersion, mediaType, config, layers } = json;
  return (
    schemaVersion === 2 &&
    imageTypes.includes(mediaType) &&
    isDescriptor(config) &&
    Array.isArray(layers) &&
    layers.length <= 1000 &&
    layers.every(isDescriptor)
  );
}

function isDescriptor(json: unknown): json is Descriptor {
  if (!hasOnly(json, descriptorKeys)) return false;
  const { mediaType, digest, size } = json;
  return (
    typeof mediaType === 'string' &&
    typeof digest === 'string' &&
    /^sha256:[a-f0-9]{64}$/.test(digest) &&
    Number.isSafeInteger(size) &&
    Number(size) >= 0
  );
}

function hasOnly(json: unknown, keys: Set<string>): json is Record<string, unknown> {
  return typeof json === 'object' && json !== null && Object.keys(json).every((key) => keys.has(key));
}
