// A registry inside the coordinator: the default place for results, and for tests a real registry that needs no network.
// It serves OCI image layouts on disk by the distribution-spec, without a login, so it listens on loopback unless told.
import { createReadStream } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { dirname, join, resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { type Failure, fail, ok, type Result } from '../failure.ts';
import { type Answer, refuse } from './embedded/answer.ts';
import { errorCode, syncUpTo } from './embedded/disk.ts';
import { draftsFolder, openLayouts } from './embedded/layout.ts';
import { lockFolder } from './embedded/lock.ts';
import { answerCall, type Served } from './embedded/routes.ts';
import { openUploads } from './embedded/uploads.ts';

export interface EmbeddedRegistryOptions {
  /** The folder of the layouts, one a repository; made where it is absent. */
  root: string;
  host?: string;
  /** 0 takes a free one. */
  port?: number;
  /** Serves what is there and takes no lock, so it also works while another process writes. */
  readOnly?: boolean;
  /** Told of what no client can mend: a full disk, a folder that may not be written. Clients get a 5xx, and some hide it. */
  onFailure?: (failure: Failure) => void;
}

export interface EmbeddedRegistry {
  host: string;
  port: number;
  /** `host:port`, as references name it. */
  address: string;
  /** Breaks connections off, waits for what is being written, and gives the lock back. */
  close(): Promise<void>;
}

export async function startEmbeddedRegistry(options: EmbeddedRegistryOptions): Promise<Result<EmbeddedRegistry>> {
  const { host = '127.0.0.1', port = 0, readOnly = false } = options;
  const root = resolve(options.root);
  const drafts = join(root, draftsFolder);
  let unlock: () => Promise<void> = async () => undefined;
  try {
    const made = await mkdir(root, { recursive: true });
    if (made !== undefined) await syncUpTo(dirname(made), root);
    if (!readOnly) {
      const lock = await lockFolder(root);
      if (!lock.ok) return lock;
      unlock = lock.value;
      // Uploads and half-written files of a process that is gone: nobody can go on with them.
      await rm(drafts, { recursive: true, force: true });
      await mkdir(drafts, { recursive: true });
    }
  } catch (error) {
    await unlock();
    return fail({ kind: 'system', message: `the registry's folder can't be used: ${wordsOf(error)}`, where: root });
  }
  const openRepository = openLayouts(root, readOnly);
  const uploads = readOnly ? undefined : openUploads(drafts, openRepository);
  const running = new Set<Promise<void>>();
  const served: Served = { openRepository, ...(uploads ? { uploads } : {}) };
  const server = createServer((request, response) => {
    const work = serve(request, response, root, served, options.onFailure).finally(() => running.delete(work));
    running.add(work);
  });
  // A layer may take longer to arrive than Node's five minutes for a request.
  server.requestTimeout = 0;
  server.keepAliveTimeout = 60_000;
  const listening = await listen(server, host, port);
  if (!listening.ok) {
    await unlock();
    return listening;
  }
  return ok({
    host,
    port: listening.value,
    address: `${host.includes(':') ? `[${host}]` : host}:${listening.value}`,
    close: async () => {
      const closed = new Promise((done) => server.close(done));
      server.closeAllConnections();
      await closed;
      await Promise.all(running);
      await uploads?.close();
      await unlock();
    },
  });
}

async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  root: string,
  served: Served,
  onFailure: EmbeddedRegistryOptions['onFailure'],
): Promise<void> {
  const { method = 'GET', headers } = request;
  let answer: Answer;
  try {
    const url = new URL(request.url ?? '/', 'http://registry');
    const path = decodeURIComponent(url.pathname);
    answer = await answerCall({ method, query: url.searchParams, headers, body: request }, path, served);
  } catch (error) {
    if (error instanceof URIError || errorCode(error) === 'ERR_INVALID_URL') {
      answer = refuse(400, 'NAME_INVALID', 'the path is malformed');
    } else {
      if (isFull(error) || isForbidden(error)) {
        onFailure?.({
          kind: 'system',
          message: `the embedded registry can't be written: ${wordsOf(error)}`,
          where: root,
          help: 'make room, or give another folder with --state; then run again: what is done is not repeated',
        });
      }
      answer = refuse(
        isFull(error) ? 507 : 500,
        'UNKNOWN',
        `the registry could not do it: ${wordsOf(error)} (${root})`,
      );
    }
  }
  try {
    await send(response, answer, method === 'HEAD');
  } catch {
    // The client is gone, or the file is: a broken connection tells so, a short answer would not.
    response.destroy();
  }
  // What was not read of the request stands before the next one on this connection.
  request.resume();
}

async function send(response: ServerResponse, answer: Answer, headOnly: boolean): Promise<void> {
  const { status, headers = {}, body } = answer;
  const range = typeof body === 'object' && 'file' in body ? body : undefined;
  const length = range ? range.end - range.start : Buffer.byteLength(wholeOf(body));
  response.writeHead(status, {
    'docker-distribution-api-version': 'registry/2.0',
    ...(status === 204 ? {} : { 'content-length': String(length) }),
    ...headers,
  });
  if (headOnly || length === 0 || status === 204) response.end();
  else if (range) await pipeline(createReadStream(range.file, { start: range.start, end: range.end - 1 }), response);
  else response.end(wholeOf(body));
}

function wholeOf(body: Answer['body']): string | Uint8Array {
  return typeof body === 'string' || body instanceof Uint8Array ? body : '';
}

function listen(server: Server, host: string, port: number): Promise<Result<number>> {
  return new Promise((done) => {
    server.once('error', (error) => {
      const busy = errorCode(error) === 'EADDRINUSE';
      done(
        fail({
          kind: 'system',
          message: busy ? 'another program listens there already' : `can't listen: ${error.message}`,
          where: `${host}:${port}`,
          ...(busy ? { help: 'choose another port, or 0 for a free one' } : {}),
        }),
      );
    });
    server.listen(port, host, () => {
      const address = server.address();
      done(ok(typeof address === 'object' && address ? address.port : port));
    });
  });
}

function isFull(error: unknown): boolean {
  return errorCode(error) === 'ENOSPC' || errorCode(error) === 'EDQUOT';
}

function isForbidden(error: unknown): boolean {
  return ['EACCES', 'EPERM', 'EROFS', 'EIO'].includes(errorCode(error) ?? '');
}

function wordsOf(error: unknown): string {
  if (isFull(error)) return 'the disk is full';
  switch (errorCode(error)) {
    case 'EACCES':
    case 'EPERM':
      return 'no permission';
    case 'EROFS':
      return 'the disk is read-only';
    default:
      return error instanceof Error ? error.message : String(error);
  }
}
