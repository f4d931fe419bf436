// Gives memory back as soon as it has been used. Node's streams allocate each chunk anew, and V8 answers a gibibyte of them with a collection
// of the whole heap at every few mebibytes, which takes more time than unpacking does.

/**
 * Frees what a chunk lies in, where nothing can come after it there: the chunk ends with its memory, as zlib's and a file's streams give each
 * part of a buffer once and in order. The chunk, and those that came before it in the same memory, must have been used.
 */
export function release(chunk: Uint8Array): void {
  const { buffer, byteOffset, length } = chunk;
  // What isn't larger may be the memory that Node gives small buffers of to everybody.
  if (!(buffer instanceof ArrayBuffer) || buffer.byteLength <= Buffer.poolSize) return;
  if (byteOffset + length === buffer.byteLength) buffer.transfer(0);
}
