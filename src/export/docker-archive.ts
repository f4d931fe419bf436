// The files of a docker-archive, which `docker load`, podman, containerd and skopeo read: manifest.json, configs and layers. Layers of gzip
// are kept as the registry has them, which all of these accept; those of zstd are unpacked, as docker reads zstd only since 23.0.
import type { ImageSource } from '../copy/store.ts';
import { ok, type Result } from '../failure.ts';
import type { Digest } from '../image/oci.ts';
import type { ArchiveFile } from './archive.ts';
import type { PlatformImage } from './read-images.ts';
import { compressionOf, type UnpackedLayer } from './unpack.ts';

/** Unpacks a layer to where its size is known; its content has been checked against the diff_id. */
export type Unpack = (
  image: PlatformImage,
  layer: PlatformImage['layers'][number],
  signal: AbortSignal,
) => Promise<Result<UnpackedLayer>>;

/** Layers that are unpacked begin to be so at once. */
export function dockerFiles(
  store: ImageSource,
  images: readonly PlatformImage[],
  layersAre: 'kept' | 'unpacked',
  unpack: Unpack,
  signal: AbortSignal,
): ArchiveFile[] {
  const configs = new Map<string, ArchiveFile>();
  const layers = new Map<string, ArchiveFile>();
  const manifest: { Config: string; RepoTags: string[] | null; Layers: string[] }[] = [];
  const repositories: Record<string, Record<string, string>> = {};
  for (const image of images) {
    const names: string[] = [];
    for (const layer of image.layers) {
      const { descriptor } = layer;
      const compression = compressionOf(descriptor.mediaType);
      const keeps = compression === 'none' || (compression === 'gzip' && layersAre === 'kept');
      const name = keeps
        ? `${hex(descriptor.digest)}.tar${compression === 'gzip' ? '.gz' : ''}`
        : `${hex(layer.diffId)}.tar`;
      names.push(name);
      if (layers.has(name)) continue;
      if (keeps) {
        const open = (inner: AbortSignal) => store.getBlob(image.reference, descriptor, inner);
        layers.set(name, { name, content: { size: descriptor.size, deflates: compression === 'none', open } });
      } else {
        const unpacked = unpack(image, layer, signal);
        const content = unpacked.then((done) => (done.ok ? ok({ ...done.value, deflates: true }) : done));
        layers.set(name, { name, content });
      }
    }
    const config = `${hex(image.config.digest)}.json`;
    configs.set(config, { name: config, content: image.config.bytes });
    manifest.push({ Config: config, RepoTags: image.names.length > 0 ? image.names : null, Layers: names });
    for (const name of image.names) {
      const colon = name.lastIndexOf(':');
      const repository = name.slice(0, colon);
      repositories[repository] = { ...repositories[repository], [name.slice(colon + 1)]: topLayer(image) };
    }
  }
  return [
    { name: 'manifest.json', content: Buffer.from(`${JSON.stringify(manifest)}\n`) },
    { name: 'repositories', content: Buffer.from(`${JSON.stringify(repositories)}\n`) },
    ...configs.values(),
    ...layers.values(),
  ];
}

/** What `repositories` names an image by; `docker load` reads it only where there is no manifest.json. */
function topLayer({ layers, config }: PlatformImage): string {
  return hex(layers.at(-1)?.diffId ?? config.digest);
}

function hex(digest: Digest): string {
  return digest.slice(digest.indexOf(':') + 1);
}
