// What the tests of this folder share: layers made by tar-stream, and multi-platform images pushed to the embedded registry.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { type Header, pack } from 'tar-stream';
import { z } from 'zod';
import { createRegistryClient, type RegistryClient } from '../../registry/client.ts';
import { startEmbeddedRegistry } from '../../registry/embedded.ts';
import { opener, value } from '../../registry/testing.ts';
import { sha256 } from '../digest.ts';
import { type Descriptor, mediaTypes } from '../oci.ts';
import { parsePlatform } from '../platform.ts';
import type { Reference } from '../reference.ts';

/** `[path, content]` is a file of mode 0644, `[path]` a folder where it ends in a slash; the rest is tar's own. */
export type TarEntry = [path: string, content?: string | Buffer, more?: Partial<Header>];

export interface MadeImage {
  platform: string;
  /** The `config` of the image config. */
  config?: object;
  /** From the lowest up; a Buffer is a layer as it is, compressed by gzip. */
  layers: (TarEntry[] | Buffer)[];
}

export interface Rig {
  client: RegistryClient;
  /** `host:port` of the registry, and its folder. */
  address: string;
  root: string;
  push(tag: string, images: MadeImage[]): Promise<Reference>;
  close(): Promise<void>;
}

const signal = new AbortController().signal;

export async function startRig(repository = 'team/app'): Promise<Rig> {
  const root = await mkdtemp(join(tmpdir(), 'splitbuild-parity-'));
  const registry = value(await startEmbeddedRegistry({ root }));
  const client = createRegistryClient({ plainHttp: () => true });
  const at = { registry: registry.address, repository };
  const put = async (bytes: Buffer, mediaType: string): Promise<Descriptor> => {
    const descriptor = { mediaType, digest: sha256(bytes), size: bytes.length };
    value(await client.putBlob(at, descriptor, opener(bytes), signal));
    return descriptor;
  };
  const pushImage = async ({ platform, config = {}, layers }: MadeImage): Promise<Descriptor> => {
    const described = value(parsePlatform(platform));
    const content = {
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      config: await put(Buffer.from(JSON.stringify({ ...described, config })), mediaTypes.ociConfig),
      layers: [] as Descriptor[],
    };
    for (const layer of layers) {
      const bytes = Buffer.isBuffer(layer) ? layer : gzipSync(await tarOf(layer));
      content.layers.push(await put(bytes, 'application/vnd.oci.image.layer.v1.tar+gzip'));
    }
    const bytes = Buffer.from(JSON.stringify(content));
    const reference = { ...at, digest: sha256(bytes) };
    return {
      ...value(await client.putManifest(reference, bytes, mediaTypes.ociManifest, signal)),
      platform: { ...described },
    };
  };
  return {
    client,
    address: registry.address,
    root,
    push: async (tag, images) => {
      const manifests: Descriptor[] = [];
      for (const image of images) manifests.push(await pushImage(image));
      const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests };
      value(await client.putManifest({ ...at, tag }, Buffer.from(JSON.stringify(index)), mediaTypes.ociIndex, signal));
      return { ...at, tag };
    },
    close: async () => {
      await registry.close();
      await rm(root, { recursive: true, force: true });
    },
  };
}

export async function tarOf(entries: TarEntry[]): Promise<Buffer> {
  const tar = pack();
  for (const [name, content = '', more = {}] of entries) {
    const folder = name.endsWith('/');
    tar.entry({ name, mode: folder ? 0o755 : 0o644, type: folder ? 'directory' : 'file', ...more }, content);
  }
  tar.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of tar) chunks.push(Buffer.from(z.instanceof(Uint8Array).parse(chunk)));
  return Buffer.concat(chunks);
}
