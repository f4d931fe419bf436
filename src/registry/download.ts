// A blob as a stream that checks itself and survives broken connections.
import { Readable } from 'node:stream';
import { type Failure, ok, type Result } from '../failure.ts';
import type { Descriptor } from '../image/oci.ts';
import { abandon } from './body.ts';
import { hashFor } from './digest.ts';
import { StreamFailure } from './refusal.ts';
import type { Exchange, OpenAnswer, Transport } from './transport.ts';

/** Broken connections in a row without a byte between them; each reconnection has the transport's attempts on top. */
const maxBreaks = 4;

/** Bytes that are more than a trickle. */
const enough = 64 << 10;

export async function downloadBlob(
  transport: Transport,
  subject: Pick<Exchange, 'registry' | 'where' | 'scopes' | 'target'>,
  descriptor: Pick<Descriptor, 'digest' | 'size'>,
  signal: AbortSignal,
): Promise<Result<Readable>> {
  // identity: a proxy that compresses on the way would change the offsets that Range counts in.
  const request: Exchange = { ...subject, method: 'GET', expect: [200], headers: { 'accept-encoding': 'identity' } };
  const first = await transport.open(request, signal);
  if (!first.ok) return first;
  return ok(Readable.from(checked(transport, request, first.value, descriptor, signal), { objectMode: false }));
}

async function* checked(
  transport: Transport,
  request: Exchange,
  first: OpenAnswer,
  descriptor: Pick<Descriptor, 'digest' | 'size'>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const { algorithm, hash } = hashFor(descriptor.digest);
  let offset = 0;
  let breaks = 0;
  let answer = first;
  for (;;) {
    // A registry that knows no Range begins anew: what is there already is skipped.
    let skip = answer.status === 206 ? 0 : offset;
    let broken: unknown;
    try {
      for await (const raw of flowing(answer.body, transport.patience.trickle, request)) {
        if (!(raw instanceof Uint8Array)) continue;
        const chunk = raw.subarray(skip);
        skip -= raw.length - chunk.length;
        if (chunk.length === 0) continue;
        offset += chunk.length;
        breaks = 0;
        if (offset > descriptor.size) break;
        hash.update(chunk);
        yield chunk;
      }
    } catch (error) {
      broken = error;
    } finally {
      abandon(answer.body);
    }
    if (signal.aborted) throw new StreamFailure({ kind: 'cancelled' });
    if (broken instanceof StreamFailure) throw broken;
    if (offset >= descriptor.size) break;
    breaks += 1;
    if (breaks > maxBreaks) throw new StreamFailure(incomplete(request, offset, descriptor.size, broken));
    const range: Record<string, string> = offset > 0 ? { range: `bytes=${offset}-` } : {};
    const again = await transport.open(
      { ...request, headers: { ...request.headers, ...range }, expect: offset > 0 ? [200, 206] : [200] },
      signal,
    );
    if (!again.ok) throw new StreamFailure(again.failure);
    answer = again.value;
    if (answer.status === 206 && !String(answer.headers['content-range']).startsWith(`bytes ${offset}-`)) {
      abandon(answer.body);
      throw new StreamFailure(wrong(request, 'the registry goes on at another place than it was asked for'));
    }
  }
  if (offset > descriptor.size)
    throw new StreamFailure(wrong(request, `the blob is longer than ${descriptor.size} bytes`));
  const digest = `${algorithm}:${hash.digest('hex')}`;
  if (digest !== descriptor.digest) {
    throw new StreamFailure(wrong(request, `the blob has digest ${digest}, not ${descriptor.digest}`));
  }
}

/** A body whose bytes come in drips would keep a build waiting for years. What its reader takes its time for doesn't count. */
async function* flowing(body: Readable, ms: number, request: Exchange): AsyncGenerator<unknown> {
  let waited = 0;
  let came = 0;
  const bytes = body[Symbol.asyncIterator]();
  for (;;) {
    const asked = performance.now();
    const next = await bytes.next();
    if (next.done) return;
    waited += performance.now() - asked;
    came += next.value instanceof Uint8Array ? next.value.length : 0;
    if (came >= enough) waited = came = 0;
    if (waited > ms) {
      throw new StreamFailure({
        kind: 'registry',
        transient: true,
        message: `the download came to ${came} bytes in ${Math.round(waited / 1000)} s`,
        where: request.where,
        help: 'look at the registry, or at the network on the way to it',
      });
    }
    yield next.value;
  }
}

function incomplete(request: Exchange, offset: number, size: number, broken: unknown): Failure {
  return {
    kind: 'registry',
    transient: true,
    message: `the download ended after ${offset} of ${size} bytes${broken instanceof Error ? `: ${broken.message}` : ''}`,
    where: request.where,
  };
}

function wrong(request: Exchange, message: string): Failure {
  return { kind: 'verification', message, where: request.where };
}
