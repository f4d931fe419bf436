// Compression on all processors: a content in blocks that don't depend on each other.
import { availableParallelism } from 'node:os';
import type { Encoding } from './encoding.ts';
import { release } from './release.ts';

/** Blocks compressed side by side, on the threads that Node keeps for zlib; given out in order. */
export async function* compressed(chunks: AsyncIterable<Uint8Array>, encoding: Encoding): AsyncGenerator<Uint8Array> {
  const flying: Promise<Uint8Array>[] = [];
  // More than there are processors: one that takes longer doesn't keep the others waiting.
  const most = 2 * availableParallelism() + 4;
  for await (const block of blocksOf(chunks, encoding.blockSize ?? 1 << 20)) {
    const done = encoding.compress(block).finally(() => release(block));
    done.catch(() => undefined);
    flying.push(done);
    const first = flying.length > most ? flying.shift() : undefined;
    if (first) yield await first;
  }
  for (const done of flying) yield await done;
}

async function* blocksOf(chunks: AsyncIterable<Uint8Array>, size: number): AsyncGenerator<Uint8Array> {
  let block = Buffer.allocUnsafe(size);
  let used = 0;
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.length; ) {
      const part = chunk.subarray(at, at + size - used);
      block.set(part, used);
      used += part.length;
      at += part.length;
      if (used < size) continue;
      yield block;
      block = Buffer.allocUnsafe(size);
      used = 0;
    }
  }
  if (used > 0) yield block.subarray(0, used);
}
