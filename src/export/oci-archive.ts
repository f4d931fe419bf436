// The files of an oci-archive: an OCI image layout in a tar (image-spec, image-layout.md).
import type { ImageSource } from '../copy/store.ts';
import type { Descriptor, Digest } from '../image/oci.ts';
import { mediaTypes } from '../image/oci.ts';
import type { ArchiveFile } from './archive.ts';
import type { WholeImage } from './read-images.ts';

export function ociFiles(store: ImageSource, images: readonly WholeImage[]): ArchiveFile[] {
  const manifests = new Map<Digest, Uint8Array>();
  const blobs = new Map<Digest, ArchiveFile['content']>();
  const entries: Descriptor[] = [];
  for (const { top, manifests: below, blobs: theirs, reference, names } of images) {
    manifests.set(top.descriptor.digest, top.bytes);
    for (const { digest, bytes } of below) manifests.set(digest, bytes);
    for (const blob of theirs) {
      const { digest, size, mediaType } = blob;
      blobs.set(digest, {
        size,
        // Layers are compressed but for those that say nothing; configs and attestations are text.
        deflates: !/[+.](gzip|zstd)$/.test(mediaType),
        open: (signal) => store.getBlob(reference, blob, signal),
      });
    }
    for (const name of names.length > 0 ? names : [undefined]) {
      entries.push({ ...top.descriptor, ...(name === undefined ? {} : { annotations: annotationsOf(name) }) });
    }
  }
  const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: entries };
  return [
    { name: 'oci-layout', content: Buffer.from('{"imageLayoutVersion":"1.0.0"}') },
    { name: 'index.json', content: Buffer.from(JSON.stringify(index)) },
    ...sorted(manifests),
    ...sorted(blobs),
  ];
}

/** The tag as the spec has it, and the whole name as containerd's and docker's importers look for it. */
function annotationsOf(name: string): Record<string, string> {
  const tag = name.slice(name.lastIndexOf(':') + 1);
  const host = name.slice(0, Math.max(0, name.indexOf('/')));
  const named = /[.:]|^localhost$/.test(host) ? name : `docker.io/${host === '' ? 'library/' : ''}${name}`;
  return { 'io.containerd.image.name': named, 'org.opencontainers.image.ref.name': tag };
}

function sorted(contents: Map<Digest, ArchiveFile['content']>): ArchiveFile[] {
  return [...contents]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([digest, content]) => ({ name: `blobs/${digest.replace(':', '/')}`, content }));
}
