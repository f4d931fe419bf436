// Uploads a blob and, after a broken connection, asks the registry how much it has and goes on from there.
import type { Readable } from 'node:stream';
import { type Failure, ok, type Result } from '../failure.ts';
import type { Descriptor } from '../image/oci.ts';
import { type Answer, type Exchange, headerOf, type Transport } from './transport.ts';

type Blob = Pick<Descriptor, 'digest' | 'size'>;
type Subject = Pick<Exchange, 'registry' | 'where' | 'scopes'> & { repository: string };

/** Bytes: a blob up to this size goes in the PUT that ends the upload; a request less, and little to repeat. */
const monolithic = 4 << 20;
/** Broken connections in a row that brought the upload no byte further. */
const maxBreaks = 4;
/** Ms: a registry on slow storage copies the whole blob before it answers. */
const patience = 10 * 60_000;
const answerLimit = 64 << 10;

/** An upload under way, as far as is known on this side. */
interface Session {
  location: URL;
  /** Bytes that the registry has. */
  offset: number;
  resumed: boolean;
}

export async function uploadBlob(
  transport: Transport,
  subject: Subject,
  blob: Blob,
  open: (offset: number) => Readable,
  signal: AbortSignal,
): Promise<Result<void>> {
  let session: Session | undefined;
  let restarted = false;
  for (let breaks = 0; ; ) {
    if (!session) {
      const begun = await begin(transport, subject, signal);
      if (!begun.ok) return begun;
      session = begun.value;
    }
    const { offset } = session;
    const sent = await send(transport, subject, blob, open, session, signal);
    if (sent.ok) return sent;
    // After a resumption, a wrong digest may mean that the two sides counted differently: once, all is sent again.
    const miscounted: boolean = session.resumed && !restarted && isCode(sent.failure, 'DIGEST_INVALID');
    restarted ||= miscounted;
    if (signal.aborted || breaks >= maxBreaks || !(miscounted || isResumable(sent.failure))) {
      await cancel(transport, subject, session.location);
      return sent;
    }
    // The work may be done and only its answer lost.
    if (await isThere(transport, subject, blob, signal)) return ok(undefined);
    session = miscounted ? undefined : await progressOf(transport, subject, blob, session, signal);
    breaks = session && session.offset > offset ? 0 : breaks + 1;
    if (breaks > 0) await transport.pause(breaks, signal);
  }
}

async function begin(transport: Transport, subject: Subject, signal: AbortSignal): Promise<Result<Session>> {
  const target = `/v2/${subject.repository}/blobs/uploads/`;
  const answer = await transport.exchange({ ...subject, method: 'POST', target, expect: [202] }, answerLimit, signal);
  if (!answer.ok) return answer;
  return ok({ location: nextLocation(answer.value, new URL(target, answer.value.url)), offset: 0, resumed: false });
}

/** Sends what is missing and ends the upload; moves the session on as far as it got. */
async function send(
  transport: Transport,
  subject: Subject,
  blob: Blob,
  open: (offset: number) => Readable,
  session: Session,
  signal: AbortSignal,
): Promise<Result<void>> {
  const put = (body: Pick<Exchange, 'body' | 'length'>): Promise<Result<Answer>> => {
    const target = new URL(session.location);
    target.searchParams.set('digest', blob.digest);
    const headers = { 'content-type': 'application/octet-stream' };
    const exchange: Exchange = { ...subject, ...body, headers, method: 'PUT', target, expect: [201, 204], patience };
    return transport.exchange({ ...exchange, retried: false }, answerLimit, signal);
  };
  const body = (): Pick<Exchange, 'body' | 'length'> => {
    const { offset } = session;
    return { body: () => open(offset), length: blob.size - offset };
  };
  if (session.offset === 0 && blob.size > 0 && blob.size <= monolithic) {
    const done = await put(body());
    return done.ok ? ok(undefined) : done;
  }
  if (session.offset < blob.size) {
    const headers: Record<string, string> = { 'content-type': 'application/octet-stream' };
    // As docker does, a whole blob goes without Content-Range ("streamed"); a part of one must have it.
    if (session.offset > 0) headers['content-range'] = `${session.offset}-${blob.size - 1}`;
    const patched = await transport.exchange(
      {
        ...subject,
        ...body(),
        headers,
        method: 'PATCH',
        target: session.location,
        expect: [202, 201, 204],
        retried: false,
        patience,
      },
      answerLimit,
      signal,
    );
    if (!patched.ok) return patched;
    session.location = nextLocation(patched.value, session.location);
    session.offset = blob.size;
  }
  const done = await put({ body: new Uint8Array(0) });
  return done.ok ? ok(undefined) : done;
}

/** Where the upload stands on the registry's side; undefined where it knows nothing of it any more. */
async function progressOf(
  transport: Transport,
  subject: Subject,
  blob: Blob,
  session: Session,
  signal: AbortSignal,
): Promise<Session | undefined> {
  const answer = await transport.exchange(
    { ...subject, method: 'GET', target: session.location, expect: [204, 202, 200] },
    answerLimit,
    signal,
  );
  if (!answer.ok) return undefined;
  // `0-0` is also what registries say of an upload without a byte; if there is one, the digest tells.
  const last = Number(/^(?:bytes=)?0-(\d+)$/.exec(headerOf(answer.value, 'range') ?? '')?.[1] ?? 0);
  const offset = last === 0 ? 0 : last + 1;
  if (offset > blob.size) return undefined;
  return { location: nextLocation(answer.value, session.location), offset, resumed: true };
}

async function isThere(transport: Transport, subject: Subject, blob: Blob, signal: AbortSignal): Promise<boolean> {
  const target = `/v2/${subject.repository}/blobs/${blob.digest}`;
  const exchange: Exchange = { ...subject, method: 'HEAD', target, expect: [200, 404] };
  const answer = await transport.exchange(exchange, answerLimit, signal);
  return answer.ok && answer.value.status === 200;
}

/** So that the registry need not keep what nobody finishes. It is a courtesy: whether it worked doesn't matter. */
export async function cancel(
  transport: Transport,
  subject: Pick<Exchange, 'registry' | 'where' | 'scopes'>,
  location: URL,
): Promise<void> {
  const exchange: Exchange = { ...subject, method: 'DELETE', target: location, expect: [204], retried: false };
  // Not the caller's signal: that may be what ended the upload.
  await transport.exchange(exchange, answerLimit, AbortSignal.timeout(5000));
}

function nextLocation(answer: Answer, before: URL): URL {
  const location = headerOf(answer, 'location');
  return location !== undefined && URL.canParse(location, answer.url.href) ? new URL(location, answer.url) : before;
}

function isResumable(failure: Failure): boolean {
  if (failure.kind !== 'registry') return false;
  return failure.transient || failure.status === 416 || isCode(failure, 'BLOB_UPLOAD_UNKNOWN');
}

function isCode(failure: Failure, code: string): boolean {
  return failure.kind === 'registry' && failure.code === code;
}
