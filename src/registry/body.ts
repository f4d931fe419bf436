// Bodies of HTTP messages: small ones read whole within bounds of size and time, unwanted ones let go of, and those that are sent marked,
// so that an error of theirs isn't taken for one of the connection.
import type { Readable } from 'node:stream';
import type { Dispatcher } from 'undici';
import { StreamFailure } from './refusal.ts';

/** An answer; one to a HEAD may be without a body. */
export interface Received extends Pick<Dispatcher.ResponseData, 'statusCode' | 'headers'> {
  body: Readable | undefined;
}

/** A small answer took longer than it may: it comes in drips, or not at all. */
export class DeadlineError extends Error {
  readonly code = 'SPLITBUILD_DEADLINE';
  constructor(ms: number) {
    super(`the answer was not there after ${Math.round(ms / 1000)} s`);
    this.name = 'DeadlineError';
  }
}

/** All of a small answer: `limit` bytes at most, within `ms`. Throws a StreamFailure where it is larger. */
export async function readWhole(
  data: Pick<Received, 'body' | 'headers'>,
  { limit, ms, where, method }: { limit: number; ms: number; where: string; method: string },
): Promise<Uint8Array> {
  const tooLarge = (): StreamFailure =>
    new StreamFailure({
      kind: 'verification',
      message: `a registry's answer is larger than ${limit} bytes`,
      where,
      help: 'what was asked for should be small; is it what it claims to be?',
    });
  if (method !== 'HEAD' && Number(data.headers['content-length'] ?? 0) > limit) {
    if (data.body) abandon(data.body);
    throw tooLarge();
  }
  const { bytes, whole } = await read(data.body, limit, ms);
  if (!whole) throw tooLarge();
  return bytes;
}

/** The beginning of an answer that is only looked at for words: what comes of it in time, up to `limit` bytes. */
export async function readBeginning(body: Received['body'], limit: number, ms: number): Promise<Uint8Array> {
  const { bytes } = await read(body, limit, ms, true);
  return bytes;
}

async function read(
  body: Received['body'],
  limit: number,
  ms: number,
  lenient = false,
): Promise<{ bytes: Uint8Array; whole: boolean }> {
  if (!body) return { bytes: new Uint8Array(), whole: true };
  const chunks: Uint8Array[] = [];
  let size = 0;
  const timer = setTimeout(() => body.destroy(new DeadlineError(ms)), ms);
  try {
    for await (const chunk of body) {
      if (!(chunk instanceof Uint8Array)) continue;
      const room = limit - size;
      size += chunk.length;
      // Not kept beyond the limit, however large a chunk is.
      chunks.push(chunk.subarray(0, room));
      if (size > limit) {
        abandon(body);
        return { bytes: Buffer.concat(chunks), whole: false };
      }
    }
  } catch (error) {
    if (!lenient) throw error;
  } finally {
    clearTimeout(timer);
  }
  return { bytes: Buffer.concat(chunks), whole: true };
}

/** Ends a body that is not wanted; undici's complains with an error event, which nobody else would hear. */
export function abandon(body: Readable): void {
  body.on('error', () => undefined);
  body.destroy();
}

/** Reads past a short body that is there already or about to be, so that its connection serves again. */
export async function discard(data: Pick<Received, 'body' | 'headers'>): Promise<void> {
  if (!data.body) return;
  const short = Number(data.headers['content-length'] ?? Number.POSITIVE_INFINITY) <= 64 << 10;
  if (short) await readBeginning(data.body, 64 << 10, 1000);
  else abandon(data.body);
}

/**
 * The body with its own errors marked: undici destroys it with the connection's error too, and then nobody could tell
 * whose fault it was.
 */
export async function* marked(source: Readable): AsyncGenerator<unknown> {
  try {
    for await (const chunk of source) yield chunk;
  } catch (error) {
    if (error instanceof StreamFailure) throw error;
    throw sourceFailure(`reading for upload: ${error instanceof Error ? error.message : String(error)}`);
  }
}

export function sourceFailure(message: string): StreamFailure {
  return new StreamFailure({ kind: 'system', message });
}
