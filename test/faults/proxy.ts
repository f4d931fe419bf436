// A reverse proxy in front of a registry that misbehaves as it is told: refusals, resets, lost answers, halves of bodies, delays. It
// also looks through everything that passes for words that must not pass.
import { request as ask, createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PassThrough, type Readable, Transform } from 'node:stream';
import type { Misbehaviour } from './schedule.ts';

export interface Seen {
  /** Ms since the epoch. */
  time: number;
  method: string;
  path: string;
  /** Of the answer that was sent; 0 where there was none. */
  status: number;
  misbehaviour?: Misbehaviour['do'];
}

export interface FaultProxy {
  /** `10.77.7.1:5051`. */
  address: string;
  /** Called for each request; undefined lets it pass. */
  decide: (request: { method: string; path: string }) => Misbehaviour | undefined;
  whenDown: 'reset' | 502;
  /** The requests so far; whoever reads may empty it. */
  seen: Seen[];
  /** `METHOD path` of requests or answers in whose bytes one of the words was. */
  leaks: string[];
  close(): Promise<void>;
}

export interface FaultProxyOptions {
  listen: { host: string; port: number };
  target: { host: string; port: number };
  words: string[];
}

export async function startFaultProxy({ listen, target, words }: FaultProxyOptions): Promise<FaultProxy> {
  const server = createServer((incoming, outgoing) => {
    handle(incoming, outgoing).catch(() => incoming.socket.resetAndDestroy());
  });
  const proxy: FaultProxy = {
    address: '',
    decide: () => undefined,
    whenDown: 'reset',
    seen: [],
    leaks: [],
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };

  async function handle(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const { method = 'GET', url: path = '/' } = incoming;
    const misbehaviour = proxy.decide({ method, path });
    const note: Seen = { time: Date.now(), method, path, status: 0 };
    if (misbehaviour) note.misbehaviour = misbehaviour.do;
    proxy.seen.push(note);
    incoming.on('error', () => undefined);
    outgoing.on('error', () => undefined);
    const reset = (): void => void incoming.socket.resetAndDestroy();
    const watch = (stream: Readable): Readable =>
      stream.pipe(lookout(words, () => proxy.leaks.push(`${method} ${path}`)));

    if (misbehaviour?.do === 'reset') return reset();
    if (misbehaviour?.do === 'delay') await new Promise((resolve) => setTimeout(resolve, misbehaviour.ms));
    if (misbehaviour?.do === 'answer') {
      incoming.resume();
      note.status = misbehaviour.status;
      const wait = misbehaviour.retryAfter === undefined ? {} : { 'retry-after': String(misbehaviour.retryAfter) };
      outgoing.writeHead(misbehaviour.status, { 'content-type': 'application/json', ...wait });
      outgoing.end(
        JSON.stringify({ errors: [{ code: refusal(misbehaviour.status), message: 'so the proxy was told' }] }),
      );
      return;
    }

    const halved = misbehaviour?.do === 'truncate';
    const length = Number(incoming.headers['content-length'] ?? 0);
    // No kept connection: one that a registry had before it was restarted would be a fault of the proxy's own.
    const onward = ask({
      ...target,
      method,
      path,
      headers: { ...incoming.headers, connection: 'close' },
      agent: false,
    });
    onward.on('error', () => {
      if (outgoing.headersSent || proxy.whenDown === 'reset') return reset();
      note.status = 502;
      outgoing.writeHead(502, { 'content-type': 'text/plain' }).end('no registry');
    });
    outgoing.on('close', () => {
      if (!outgoing.writableFinished) onward.destroy();
    });
    onward.on('response', (answer) => {
      answer.on('error', reset);
      if (misbehaviour?.do === 'lose') {
        answer.resume();
        answer.on('end', reset);
        return;
      }
      note.status = answer.statusCode ?? 0;
      const { connection, ...headers } = answer.headers;
      const size = Number(headers['content-length'] ?? 0);
      if (halved && (method === 'HEAD' || size === 0)) return reset();
      outgoing.writeHead(note.status, headers);
      if (halved) passHalf(watch(answer), size, outgoing, reset);
      else watch(answer).pipe(outgoing);
    });
    if (halved && length > 0) {
      passHalf(watch(incoming), length, onward, () => {
        onward.destroy();
        reset();
      });
    } else watch(incoming).pipe(onward);
  }

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(listen.port, listen.host, resolve);
  });
  const { port } = server.address() as AddressInfo;
  proxy.address = `${listen.host}:${port}`;
  return proxy;
}

/** The error codes of the distribution-spec, "Error Codes". */
function refusal(status: number): string {
  return status === 429 ? 'TOOMANYREQUESTS' : status === 503 ? 'UNAVAILABLE' : 'UNKNOWN';
}

function passHalf(from: Readable, size: number, to: NodeJS.WritableStream, end: () => void): void {
  let left = Math.floor(size / 2);
  from.on('data', (chunk: Buffer) => {
    if (left <= 0) return;
    const part = chunk.subarray(0, left);
    left -= part.length;
    to.write(part, () => {
      if (left <= 0) end();
    });
  });
  if (left === 0) end();
}

/** Passes everything on, and tells of words in it, those that two chunks share as well. */
function lookout(words: string[], found: () => void): Transform {
  if (words.length === 0) return new PassThrough();
  const longest = Math.max(...words.map((word) => word.length));
  let tail: Buffer = Buffer.alloc(0);
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      const both = Buffer.concat([tail, chunk]);
      if (words.some((word) => both.includes(word))) found();
      tail = both.subarray(Math.max(0, both.length - longest + 1));
      done(undefined, chunk);
    },
  });
}
