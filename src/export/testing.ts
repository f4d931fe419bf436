// An image family as a test wants it: two platforms with layers that are real tars, gzip, zstd and plain, and an attestation.
import { Readable } from 'node:stream';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { sha256 } from '../image/digest.ts';
import { tarOf } from '../image/layers/testing.ts';
import { type Descriptor, mediaTypes } from '../image/oci.ts';
import { createRegistryClient, type RegistryClient } from '../registry/client.ts';
import { anonymous } from '../registry/credentials.ts';
import { noise, value } from '../registry/testing.ts';

export type LayerCompression = 'gzip' | 'zstd' | 'none';

export interface PushedImage {
  descriptor: Descriptor;
  config: Buffer;
  layers: { descriptor: Descriptor; tar: Buffer; diffId: string }[];
}

const signal = AbortSignal.timeout(120_000);

export function plainClient(): RegistryClient {
  return createRegistryClient({ plainHttp: () => true, credentials: anonymous });
}

/** The tar of one file, of text that compresses and noise that doesn't. */
export function layerTar(name: string, size: number): Buffer {
  const text = Buffer.from(
    `${name} is a line of a text that compresses well.\n`.repeat(Math.ceil(size / 100)),
  ).subarray(0, size / 2);
  return tarOf({ name, content: Buffer.concat([text, noise(size - text.length, name)]) });
}

/** Pushes an image of one platform by digest. */
export async function pushImage(
  registry: string,
  repository: string,
  architecture: string,
  layers: { tar: Buffer; compression: LayerCompression }[],
): Promise<PushedImage> {
  const client = plainClient();
  const pushed = await Promise.all(
    layers.map(async ({ tar, compression }) => {
      const bytes = compression === 'gzip' ? gzipSync(tar) : compression === 'zstd' ? zstdCompressSync(tar) : tar;
      const mediaType = `application/vnd.oci.image.layer.v1.tar${compression === 'none' ? '' : `+${compression}`}`;
      return { descriptor: await pushBlob(client, registry, repository, bytes, mediaType), tar, diffId: sha256(tar) };
    }),
  );
  const config = Buffer.from(
    JSON.stringify({
      os: 'linux',
      architecture,
      config: { Env: ['PATH=/bin'] },
      rootfs: { type: 'layers', diff_ids: pushed.map(({ diffId }) => diffId) },
    }),
  );
  const manifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    config: await pushBlob(client, registry, repository, config, mediaTypes.ociConfig),
    layers: pushed.map(({ descriptor }) => descriptor),
  };
  const bytes = Buffer.from(JSON.stringify(manifest));
  const descriptor = value(await client.putManifest({ registry, repository }, bytes, mediaTypes.ociManifest, signal));
  return { descriptor, config, layers: pushed };
}

/** Pushes an index of images, each with an attestation as BuildKit makes them, and gives its bytes. */
export async function pushIndex(
  registry: string,
  repository: string,
  tag: string,
  images: { architecture: string; image: PushedImage }[],
): Promise<{ bytes: Buffer; attestations: Descriptor[] }> {
  const client = plainClient();
  const attestations: Descriptor[] = [];
  for (const { image } of images) {
    const statement = Buffer.from(
      JSON.stringify({ _type: 'https://in-toto.io/Statement/v0.1', of: image.descriptor.digest }),
    );
    const layer = await pushBlob(client, registry, repository, statement, 'application/vnd.in-toto+json');
    const config = Buffer.from(
      JSON.stringify({ os: 'unknown', architecture: 'unknown', rootfs: { type: 'layers', diff_ids: [layer.digest] } }),
    );
    const manifest = {
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      config: await pushBlob(client, registry, repository, config, mediaTypes.ociConfig),
      layers: [layer],
    };
    const put = await client.putManifest(
      { registry, repository },
      Buffer.from(JSON.stringify(manifest)),
      mediaTypes.ociManifest,
      signal,
    );
    attestations.push({
      ...value(put),
      platform: { os: 'unknown', architecture: 'unknown' },
      annotations: {
        'vnd.docker.reference.type': 'attestation-manifest',
        'vnd.docker.reference.digest': image.descriptor.digest,
      },
    });
  }
  const index = {
    schemaVersion: 2,
    mediaType: mediaTypes.ociIndex,
    manifests: [
      ...images.map(({ architecture, image }) => ({ ...image.descriptor, platform: { os: 'linux', architecture } })),
      ...attestations,
    ],
  };
  const bytes = Buffer.from(JSON.stringify(index));
  value(await client.putManifest({ registry, repository, tag }, bytes, mediaTypes.ociIndex, signal));
  return { bytes, attestations };
}

export async function pushBlob(
  client: RegistryClient,
  registry: string,
  repository: string,
  bytes: Buffer,
  mediaType: string,
): Promise<Descriptor> {
  const blob = { digest: sha256(bytes), size: bytes.length };
  const open = (offset: number): Readable => Readable.from([bytes.subarray(offset)], { objectMode: false });
  value(await client.putBlob({ registry, repository }, blob, open, signal));
  return { mediaType, ...blob };
}
