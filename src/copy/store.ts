// What copying and exporting need of the places that images lie in: a registry's client is both, and so is a folder (layout.ts).
import type { RegistryClient } from '../registry/client.ts';

/** Where images are read. */
export type ImageSource = Pick<
  RegistryClient,
  'getManifest' | 'hasBlob' | 'readBlob' | 'getBlob' | 'listTags' | 'listReferrers'
>;

/** Where images are written. */
export type ImageTarget = Pick<RegistryClient, 'headManifest' | 'putManifest' | 'hasBlob' | 'putBlob' | 'mountBlob'>;
