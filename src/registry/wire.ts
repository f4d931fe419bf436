// HTTP/1.1 on one plain connection, as far as the simplest answers go: a status of success, a length, so many bytes; to a HEAD, a head. It takes
// a third of the time that other clients take for the first hundreds of requests of a process. Whatever else comes is none of its business: it
// throws, and whoever called asks again through the whole client.
import { connect } from 'node:net';

export interface Request {
  method: 'GET' | 'HEAD' | 'PUT';
  path: string;
  headers: Record<string, string>;
  body?: Uint8Array;
}

export interface PlainAnswer {
  status: number;
  /** Names in lower case. */
  headers: Map<string, string>;
  bytes: Buffer;
}

export interface Connection {
  /** One at a time. Throws where the answer is any but a simple one; then the connection is of no more use. */
  exchange(request: Request): Promise<PlainAnswer>;
  isOpen(): boolean;
  close(): void;
}

/** Bytes. */
const headLimit = 16 << 10;
const bodyLimit = 8 << 20;
/** Ms: what takes longer is a case for the whole client's patience. */
const usualSilence = 5000;

/** `silence`: ms without a byte, between two requests too, after which it is closed. One that nobody waits for keeps no process running. */
export function openConnection(url: URL, silence = usualSilence): Connection {
  const socket = connect({ host: url.hostname.replace(/^\[|\]$/g, ''), port: Number(url.port || 80), noDelay: true });
  let received: Buffer = Buffer.alloc(0);
  let waiting:
    | { method: Request['method']; resolve(answer: PlainAnswer): void; reject(error: unknown): void }
    | undefined;
  const end = (error: unknown): void => {
    socket.destroy();
    waiting?.reject(error);
    waiting = undefined;
  };
  socket.setTimeout(silence, () => end(new Error('silence')));
  socket.on('error', end);
  socket.on('close', () => end(new Error('the connection is closed')));
  socket.on('data', (chunk) => {
    if (!waiting) return end(new Error('nobody asked'));
    received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
    try {
      const answer = readAnswer(received, waiting.method);
      if (!answer) return;
      received = Buffer.alloc(0);
      const { resolve } = waiting;
      waiting = undefined;
      socket.unref();
      resolve(answer);
    } catch (error) {
      end(error);
    }
  });
  return {
    exchange: ({ method, path, headers, body }) =>
      new Promise((resolve, reject) => {
        waiting = { method, resolve, reject };
        if (socket.destroyed) return end(new Error('the connection is closed'));
        socket.ref();
        const lines = Object.entries({
          host: url.host,
          ...headers,
          ...(body ? { 'content-length': body.length } : {}),
        });
        const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join('');
        if (!isOneLineEach(head, lines.length)) return end(new Error('a header has another in it'));
        const text = `${method} ${path} HTTP/1.1\r\n${head}\r\n`;
        socket.write(body ? Buffer.concat([Buffer.from(text), body]) : text);
      }),
    isOpen: () => socket.writable,
    close: () => socket.destroy(),
  };
}

/** What a token server gave, say, may have anything in it. */
function isOneLineEach(head: string, lines: number): boolean {
  return head.split(/[\r\n\0]+/).length === lines + 1;
}

/** Undefined where more is to come; throws where it is no simple answer (RFC 9112, 6.3, has the others). */
export function readAnswer(received: Buffer, method: Request['method'] = 'GET'): PlainAnswer | undefined {
  const end = received.indexOf('\r\n\r\n');
  if (end > headLimit || (end < 0 && received.length > headLimit)) throw new Error('the head is too large');
  if (end < 0) return undefined;
  const [first = '', ...lines] = received.toString('latin1', 0, end).split('\r\n');
  // Without a body, what the status says is for the whole client to make something of.
  const isHead = method === 'HEAD';
  const [, status] = (isHead ? /^HTTP\/1\.1 ([2-5]\d\d)( |$)/ : /^HTTP\/1\.1 (20[01])( |$)/).exec(first) ?? [];
  if (status === undefined) throw new Error(`answered ${first}`);
  const headers = new Map<string, string>();
  for (const line of lines) {
    const [, name = '', value = ''] = /^([\w!#$%&'*+.^`|~-]+):[ \t]*(.*?)[ \t]*$/.exec(line) ?? [];
    const key = name.toLowerCase();
    if (key === '' || headers.has(key)) throw new Error('a header is malformed, or there twice');
    headers.set(key, value);
  }
  const bytes = received.subarray(end + 4);
  const length = isHead ? 0 : lengthOf(headers);
  if (bytes.length > length) throw new Error('more came than was said');
  return bytes.length < length ? undefined : { status: Number(status), headers, bytes };
}

function lengthOf(headers: ReadonlyMap<string, string>): number {
  const length = headers.get('content-length') ?? '';
  const plain = /^\d{1,9}$/.test(length) && !headers.has('transfer-encoding') && !headers.has('content-encoding');
  if (!plain || Number(length) > bodyLimit) throw new Error('the body is not plain, or too large');
  return Number(length);
}
