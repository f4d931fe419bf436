// Joins images of one platform each into a multi-platform index, as plain data: nothing is fetched here.
import { sha256 } from './digest.ts';
import { mediaTypes } from './media-types.ts';
import type { Descriptor, Digest } from './oci.ts';

/** The image of one platform, as it lies in the repository. */
export interface Child {
  /** Of the image manifest; `platform` is what the image's config says, normalised. */
  descriptor: Descriptor;
  /** Attestation manifests of this image, with the annotations that tie them to it. */
  attestations: Descriptor[];
}

export interface ComposedIndex {
  bytes: Uint8Array;
  mediaType: string;
  digest: Digest;
  size: number;
}

/**
 * A Docker manifest list if every child is a Docker image and none has attestations, an OCI index otherwise: the same children give
 * the same bytes. Attestations come after the images, as BuildKit orders them.
 */
export function composeIndex(children: Child[]): ComposedIndex {
  const attestations = children.flatMap((child) => child.attestations);
  const docker =
    attestations.length === 0 &&
    children.every(({ descriptor }) => descriptor.mediaType === mediaTypes.dockerManifest && !descriptor.annotations);
  const mediaType = docker ? mediaTypes.dockerList : mediaTypes.ociIndex;
  const manifests = [...children.map((child) => child.descriptor), ...attestations].map(inOrder);
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, manifests }, undefined, 2));
  return { bytes, mediaType, digest: sha256(bytes), size: bytes.length };
}

/** Always the same order of keys, so the same descriptor is the same bytes. */
function inOrder({ mediaType, digest, size, platform, annotations, artifactType }: Descriptor): Descriptor {
  return {
    mediaType,
    digest,
    size,
    ...(artifactType ? { artifactType } : {}),
    ...(annotations ? { annotations } : {}),
    ...(platform ? { platform } : {}),
  };
}
