import { randomBytes } from 'node:crypto';
import { pipeline } from 'node:stream/promises';
import { createGunzip, gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { release } from './release.ts';

test('the memory of a chunk that ends with it is freed', () => {
  const chunk = new Uint8Array(new ArrayBuffer(1 << 20), 1000);
  release(chunk);
  expect(chunk.length).toBe(0);
  expect(chunk.buffer.byteLength).toBe(0);
});

test('memory in which more may come is left alone', () => {
  const memory = Buffer.alloc(1 << 20, 1);
  release(memory.subarray(0, 1000));
  expect(memory.every((byte) => byte === 1)).toBe(true);
});

test('memory that Node gives small buffers of to everybody is left alone', () => {
  const small = Array.from({ length: 2 * Buffer.poolSize }, () => Buffer.from([7]));
  for (const one of small) release(one);
  const end = new Uint8Array(Buffer.allocUnsafe(1).buffer);
  release(end);
  expect(small.every((one) => one.length === 1 && one[0] === 7)).toBe(true);
  expect(end.length).toBeGreaterThan(0);
});

test('what zlib unpacks is whole when each of its chunks is released as it has been read', async () => {
  // Nothing deflates here, and all does there: chunks that end with the input, and chunks that end with their memory.
  const plain = Buffer.concat([randomBytes(3_000_001), Buffer.alloc(5_000_003, 'as it was'), randomBytes(700_007)]);
  const packed = gzipSync(plain);
  const pieces = Array.from({ length: Math.ceil(packed.length / 40_000) }, (_, at) =>
    packed.subarray(at * 40_000, (at + 1) * 40_000),
  );
  const read: Buffer[] = [];
  let released = 0;
  await pipeline(pieces, createGunzip({ chunkSize: 256 << 10 }), async (chunks: AsyncIterable<Buffer>) => {
    for await (const chunk of chunks) {
      read.push(Buffer.from(chunk));
      release(chunk);
      if (chunk.length === 0) released += 1;
    }
  });
  expect(Buffer.concat(read).equals(plain)).toBe(true);
  expect(released).toBeGreaterThan(20);
});
