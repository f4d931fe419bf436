// BuildKit's attestations (SBOM, provenance): manifests of an index that say by annotation which image they are of.
// https://github.com/moby/buildkit/blob/master/docs/attestations/attestation-storage.md
import type { Child } from './join.ts';
import type { Descriptor, Digest, Index } from './oci.ts';

/** Digest of the image that this entry of an index attests, or undefined where it is an image itself. */
export function attestedDigest(descriptor: Descriptor): Digest | undefined {
  if (descriptor.annotations?.['vnd.docker.reference.type'] !== 'attestation-manifest') return undefined;
  return descriptor.annotations['vnd.docker.reference.digest'] ?? '';
}

/** The entries of an index, in its order, that are images themselves. */
export function imagesAmong(entries: readonly Descriptor[]): Descriptor[] {
  return entries.filter((entry) => attestedDigest(entry) === undefined);
}

/** The images of an index in its order, each with its attestations. */
export function childrenOf({ manifests }: Pick<Index, 'manifests'>): Child[] {
  return imagesAmong(manifests).map((descriptor) => ({
    descriptor,
    attestations: manifests.filter((entry) => attestedDigest(entry) === descriptor.digest),
  }));
}
