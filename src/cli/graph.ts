// `splitbuild graph`: which image is built on which, of a config's family or of a folder of Dockerfiles.
import { resolve } from 'node:path';
import { discoverFolder } from '../family/discover.ts';
import { renderGraph } from '../report/graph.ts';
import { type FamilyOptions, interruptSignal, load, printFailure } from './load.ts';

const formats = ['tree', 'mermaid', 'dot', 'json'] as const;

export async function graph(folder: string | undefined, options: FamilyOptions & { format: string }): Promise<number> {
  const format = options.json ? 'json' : formats.find((known) => known === options.format);
  if (!format) {
    return printFailure({
      kind: 'usage',
      message: `no graph format '${options.format}'`,
      help: `one of ${formats.join(', ')}`,
    });
  }
  if (folder !== undefined) {
    const found = await discoverFolder(resolve(folder));
    if (!found.ok) return printFailure(found.failure);
    const { images, edges } = found.value;
    const text =
      format === 'json'
        ? JSON.stringify(found.value, undefined, 2)
        : renderGraph({ nodes: images.map(({ name }) => ({ name })), edges }, format);
    process.stdout.write(`${text.trimEnd()}\n`);
    return 0;
  }
  const loaded = await load([], options, interruptSignal());
  if (!loaded.ok) return printFailure(loaded.failure);
  const { images } = loaded.value.family;
  const nodes = images.map(({ name }) => ({ name }));
  const edges = images.flatMap((image) => image.upstreams.map((from) => ({ from, to: image.name })));
  process.stdout.write(`${renderGraph({ nodes, edges }, format).trimEnd()}\n`);
  return 0;
}
