// The five requests that joining an image takes, made by Node's own fetch with nothing around them: what the registry and Node need at least.
// bare-join.ts HOST:PORT COUNT
import { sha256 } from '../src/image/digest.ts';
import { mediaTypes } from '../src/image/media-types.ts';

const [registry = '', count = '0'] = process.argv.slice(2);

async function read(path: string): Promise<Buffer> {
  const answer = await fetch(`http://${registry}/v2/${path}`, { headers: { accept: mediaTypes.dockerManifest } });
  if (!answer.ok) throw new Error(await answer.text());
  return Buffer.from(await answer.arrayBuffer());
}

async function joinOne(repository: string): Promise<void> {
  const manifests = ['amd64', 'arm64'].map(async (name) => {
    const bytes = await read(`${repository}/manifests/1-${name}`);
    const manifest: { config: { digest: string } } = JSON.parse(bytes.toString());
    const config = await read(`${repository}/blobs/${manifest.config.digest}`);
    const { os, architecture }: { os: string; architecture: string } = JSON.parse(config.toString());
    return {
      mediaType: mediaTypes.dockerManifest,
      size: bytes.length,
      digest: sha256(bytes),
      platform: { os, architecture },
    };
  });
  const index = { schemaVersion: 2, mediaType: mediaTypes.dockerList, manifests: await Promise.all(manifests) };
  const put = await fetch(`http://${registry}/v2/${repository}/manifests/bare`, {
    ...{ method: 'PUT', headers: { 'content-type': mediaTypes.dockerList }, body: JSON.stringify(index) },
  });
  if (put.status !== 201) throw new Error(await put.text());
}

await Promise.all(Array.from({ length: Number(count) }, (_, number) => joinOne(`join/app${number}`)));
