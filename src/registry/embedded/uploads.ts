// Blobs on their way in: whole, in chunks, or taken over from another repository (distribution-spec, "Pushing Blobs").
import { createHash, type Hash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, link, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import type { Digest } from '../../image/oci.ts';
import { type Answer, type Call, refuse } from './answer.ts';
import { errorCode } from './disk.ts';
import { isDigest, isRepositoryName, type Repository } from './layout.ts';

/** An upload under way. It ends with the process: a client that asks for it later is told so and begins anew. */
interface Session {
  id: string;
  name: string;
  file: string;
  handle: FileHandle;
  /** Over all bytes so far. */
  hash: Hash;
  /** Bytes written. */
  size: number;
  /** The request that is sending; a newer one ends it, because a broken connection may not be noticed here. */
  sender?: { body: Readable; done: Promise<unknown> };
  /** Ms since the epoch. */
  touched: number;
}

export interface Uploads {
  route(call: Call, repository: Repository): Promise<Answer>;
  /** Drops all uploads. */
  close(): Promise<void>;
}

/** Ms that the question how far an upload is waits for a request that still sends to it. */
const senderGrace = 1000;
/** Ms after which an upload that nobody sends to is dropped. */
const idleLimit = 24 * 3_600_000;

export function openUploads(folder: string, openRepository: (name: string) => Repository): Uploads {
  const sessions = new Map<string, Session>();

  async function drop(session: Session): Promise<void> {
    sessions.delete(session.id);
    session.sender?.body.destroy();
    await session.handle.close().catch(() => undefined);
    await rm(session.file, { force: true });
  }

  async function begin(call: Call, repository: Repository): Promise<Answer> {
    const mounted = await mount(call, repository, openRepository);
    if (mounted) return mounted;
    for (const session of sessions.values()) {
      if (!session.sender && Date.now() - session.touched > idleLimit) await drop(session);
    }
    const id = randomUUID();
    const file = join(folder, id);
    const handle = await open(file, 'wx+');
    const session: Session = {
      id,
      name: call.name,
      file,
      handle,
      hash: createHash('sha256'),
      size: 0,
      touched: Date.now(),
    };
    sessions.set(id, session);
    const digest = call.query.get('digest');
    if (digest === null) return { status: 202, headers: progress(session) };
    if (!isDigest(digest)) {
      await drop(session);
      return refuse(400, 'DIGEST_INVALID', `'${digest}' is not a digest`);
    }
    return (await append(session, call)) ?? finish(session, digest, repository);
  }

  /** Takes the request's bytes in; an answer where that went wrong. */
  async function append(session: Session, call: Call): Promise<Answer | undefined> {
    while (session.sender) {
      session.sender.body.destroy();
      await session.sender.done;
    }
    if (!sessions.has(session.id)) return refuse(404, 'BLOB_UPLOAD_UNKNOWN', 'the upload has ended');
    const contentRange = call.headers['content-range'];
    if (contentRange !== undefined) {
      const match = /^(?:bytes )?(\d+)-(\d+)(?:\/.*)?$/.exec(contentRange);
      if (!match || Number(match[1]) !== session.size || Number(match[2]) < Number(match[1])) {
        return refuse(
          416,
          'RANGE_INVALID',
          `the upload goes on at ${session.size}, not at ${contentRange}`,
          progress(session),
        );
      }
      const length = call.headers['content-length'];
      if (length !== undefined && Number(length) !== Number(match[2]) - Number(match[1]) + 1) {
        return refuse(400, 'SIZE_INVALID', `${length} bytes are not the range ${contentRange}`, progress(session));
      }
    }
    const done = receive(session, call.body);
    session.sender = { body: call.body, done: done.catch(() => undefined) };
    try {
      return (await done) ? undefined : refuse(400, 'BLOB_UPLOAD_INVALID', 'the connection broke', progress(session));
    } catch (error) {
      // What was to be kept can't be: the room it took is given back. The connection stays, for the answer.
      delete session.sender;
      await drop(session);
      throw error;
    } finally {
      delete session.sender;
      session.touched = Date.now();
    }
  }

  async function finish(session: Session, digest: Digest, repository: Repository): Promise<Answer> {
    sessions.delete(session.id);
    try {
      const computed = digest.startsWith('sha256:') ? session.hash.digest('hex') : await rehash(session.file);
      const got = `${digest.slice(0, 6)}:${computed}`;
      if (got !== digest) return refuse(400, 'DIGEST_INVALID', `the content has digest ${got}, not ${digest}`);
      await session.handle.sync();
      await repository.prepare(digest);
      await rename(session.file, repository.blobFile(digest));
      await repository.settle(digest);
      return created(session.name, digest);
    } finally {
      await drop(session);
    }
  }

  return {
    route: async (call, repository) => {
      if (call.reference === '') {
        return call.method === 'POST' ? begin(call, repository) : refuse(405, 'UNSUPPORTED', 'uploads begin with POST');
      }
      const session = sessions.get(call.reference);
      if (!session || session.name !== call.name) {
        return refuse(404, 'BLOB_UPLOAD_UNKNOWN', `${call.name} has no upload ${call.reference}`);
      }
      switch (call.method) {
        case 'GET':
          // Who asks has lost a connection, and what it had on the way may still be coming in.
          await Promise.race([session.sender?.done, delay(senderGrace, undefined, { ref: false })]);
          return { status: 204, headers: progress(session) };
        case 'PATCH':
          return (await append(session, call)) ?? { status: 202, headers: progress(session) };
        case 'PUT': {
          const digest = call.query.get('digest') ?? '';
          if (!isDigest(digest)) return refuse(400, 'DIGEST_INVALID', `'${digest}' is not a digest`);
          return (await append(session, call)) ?? finish(session, digest, repository);
        }
        case 'DELETE':
          await drop(session);
          return { status: 204 };
        default:
          return refuse(405, 'UNSUPPORTED', `${call.method} means nothing to an upload`);
      }
    },
    close: async () => {
      await Promise.all([...sessions.values()].map(drop));
    },
  };
}

/** True when the body ended as it should; false when its connection broke, and then what came is kept. */
async function receive(session: Session, body: Readable): Promise<boolean> {
  let onDisk: { error: unknown } | undefined;
  try {
    // Not destroyed where writing fails: the connection is still to carry the answer.
    for await (const chunk of body.iterator({ destroyOnReturn: false })) {
      if (!(chunk instanceof Uint8Array)) continue;
      await writeAt(session.handle, chunk, session.size).catch((error: unknown) => {
        onDisk = { error };
        throw error;
      });
      session.hash.update(chunk);
      session.size += chunk.length;
    }
    return !body.destroyed || body.readableEnded;
  } catch (error) {
    if (onDisk) throw error;
    return false;
  }
}

async function writeAt(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let written = 0; written < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, written, bytes.length - written, position + written);
    written += bytesWritten;
  }
}

/** distribution-spec, "Mounting a blob from another repository"; where it can't be, an upload begins instead. */
async function mount(
  call: Call,
  repository: Repository,
  openRepository: (name: string) => Repository,
): Promise<Answer | undefined> {
  const digest = call.query.get('mount');
  const from = call.query.get('from');
  if (digest === null || from === null || !isDigest(digest) || !isRepositoryName(from)) return undefined;
  const source = openRepository(from);
  if ((await source.blobSize(digest)) === undefined) return undefined;
  await repository.prepare(digest);
  try {
    await link(source.blobFile(digest), repository.blobFile(digest));
  } catch (error) {
    // Deleted meanwhile, linked too often, or a file system without hard links.
    if (['ENOENT', 'EMLINK', 'EPERM', 'ENOTSUP'].includes(errorCode(error) ?? '')) return undefined;
    if (errorCode(error) !== 'EEXIST') throw error;
  }
  await repository.settle(digest);
  return created(call.name, digest);
}

async function rehash(file: string): Promise<string> {
  const hash = createHash('sha512');
  for await (const chunk of createReadStream(file)) hash.update(chunk);
  return hash.digest('hex');
}

function created(name: string, digest: Digest): Answer {
  return { status: 201, headers: { location: `/v2/${name}/blobs/${digest}`, 'docker-content-digest': digest } };
}

function progress(session: Session): Record<string, string> {
  return {
    location: `/v2/${session.name}/blobs/uploads/${session.id}`,
    'docker-upload-uuid': session.id,
    // Of an upload without a byte docker's registry says 0-0 too, and its clients expect that.
    range: `0-${Math.max(0, session.size - 1)}`,
  };
}
