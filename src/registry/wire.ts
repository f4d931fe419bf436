// HTTP/1.1 on one plain connection, as far as the simplest answers go: a status of success, a length, so many bytes. It takes a third of the
// time that Node's own client takes for the first requests of a process. Whatever else comes is none of its business: it throws, and whoever
// called asks again through the whole client.
import { connect } from 'node:net';

export interface Request {
  method: 'GET' | 'PUT';
  path: string;
  headers: Record<string, string>;
  body?: Uint8Array;
}

export interface PlainAnswer {
  /** Names in lower case. */
  headers: Map<string, string>;
  bytes: Buffer;
}

export interface Connection {
  /** One at a time. Throws where the answer is any but a simple one; then the connection is of no more use. */
  exchange(request: Request): Promise<PlainAnswer>;
  close(): void;
}

/** Bytes. */
const headLimit = 16 << 10;
const bodyLimit = 8 << 20;
/** Ms without a byte: what takes longer is a case for the whole client's patience. */
const silence = 5000;

export function openConnection(url: URL): Connection {
  const socket = connect({ host: url.hostname.replace(/^\[|\]$/g, ''), port: Number(url.port || 80), noDelay: true });
  let received: Buffer = Buffer.alloc(0);
  let settle: { resolve(answer: PlainAnswer): void; reject(error: unknown): void } | undefined;
  const end = (error: unknown): void => {
    socket.destroy();
    settle?.reject(error);
  };
  socket.setTimeout(silence, () => end(new Error('silence')));
  socket.on('error', end);
  socket.on('close', () => end(new Error('the connection is closed')));
  socket.on('data', (chunk) => {
    received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
    try {
      const answer = readAnswer(received);
      if (!answer) return;
      received = Buffer.alloc(0);
      settle?.resolve(answer);
    } catch (error) {
      end(error);
    }
  });
  return {
    exchange: ({ method, path, headers, body }) =>
      new Promise((resolve, reject) => {
        settle = { resolve, reject };
        if (socket.destroyed) return end(new Error('the connection is closed'));
        const lines = Object.entries({
          host: url.host,
          ...headers,
          ...(body ? { 'content-length': body.length } : {}),
        });
        const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join('');
        socket.write(
          Buffer.concat([Buffer.from(`${method} ${path} HTTP/1.1\r\n${head}\r\n`), ...(body ? [body] : [])]),
        );
      }),
    close: () => socket.destroy(),
  };
}

/** Undefined where more is to come; throws where it is no simple answer (RFC 9112, 6.3, has the others). */
export function readAnswer(received: Buffer): PlainAnswer | undefined {
  const end = received.indexOf('\r\n\r\n');
  if (end > headLimit || (end < 0 && received.length > headLimit)) throw new Error('the head is too large');
  if (end < 0) return undefined;
  const [status = '', ...lines] = received.toString('latin1', 0, end).split('\r\n');
  if (!/^HTTP\/1\.1 20[01]( |$)/.test(status)) throw new Error(`answered ${status}`);
  const headers = new Map<string, string>();
  for (const line of lines) {
    const [, name = '', value = ''] = /^([\w!#$%&'*+.^`|~-]+):[ \t]*(.*?)[ \t]*$/.exec(line) ?? [];
    const key = name.toLowerCase();
    if (key === '' || headers.has(key)) throw new Error('a header is malformed, or there twice');
    headers.set(key, value);
  }
  const length = headers.get('content-length') ?? '';
  const plain = /^\d{1,9}$/.test(length) && !headers.has('transfer-encoding') && !headers.has('content-encoding');
  if (!plain || Number(length) > bodyLimit) throw new Error('the body is not plain, or too large');
  const bytes = received.subarray(end + 4);
  if (bytes.length > Number(length)) throw new Error('more came than was said');
  return bytes.length < Number(length) ? undefined : { headers, bytes };
}
