// Whether a BuildKit answers on its socket, asked by gRPC's own health check: a buildctl a probe takes more of the cores that it builds on.
import { connect, type IncomingHttpHeaders } from 'node:http2';
import { createConnection } from 'node:net';
import { fail, ok, type Result } from '../failure.ts';
import { noAnswer } from './outcome.ts';

/** A gRPC message without fields: not compressed, of no bytes. */
const empty = Buffer.alloc(5);
/** HealthCheckResponse with status SERVING, of two bytes. */
const serving = Buffer.from([0, 0, 0, 0, 2, 8, 1]);
/** What one answers that is too old for health checks; it answers. */
const unimplemented = '12';

/** `endpoint`: for messages. The protocol: https://github.com/grpc/grpc/blob/master/doc/health-checking.md */
export function pingSocket(socketPath: string, endpoint: string, signal: AbortSignal): Promise<Result<void>> {
  return new Promise((resolve) => {
    const session = connect('http://buildkit', { createConnection: () => createConnection(socketPath) });
    const end = (result: Result<void>): void => {
      signal.removeEventListener('abort', cancel);
      session.destroy();
      resolve(result);
    };
    const help = 'check that buildkitd runs there and that you may reach it';
    const silent = (reason: string): void => end(fail(noAnswer('BuildKit', reason, endpoint, { help })));
    const cancel = (): void => end(fail({ kind: 'cancelled' }));
    if (signal.aborted) return cancel();
    signal.addEventListener('abort', cancel);
    session.on('error', (error) => silent(error.message));
    const request = session.request({
      ...{ ':method': 'POST', ':path': '/grpc.health.v1.Health/Check' },
      ...{ 'content-type': 'application/grpc', te: 'trailers' },
    });
    const answer: Buffer[] = [];
    let status: IncomingHttpHeaders = {};
    request.on('response', (headers) => {
      status = headers;
    });
    request.on('trailers', (headers) => {
      status = headers;
    });
    request.on('data', (part: Buffer) => answer.push(part));
    // A stream that comes to nothing has the session's trouble as its cause.
    request.on('error', (error) => silent(error.cause instanceof Error ? error.cause.message : error.message));
    request.on('end', () => {
      const code = status['grpc-status'];
      if (Buffer.concat(answer).equals(serving) || code === unimplemented) return end(ok(undefined));
      silent(`${status['grpc-message'] ?? (code === undefined ? 'not by gRPC' : `it is not serving (${code})`)}`);
    });
    request.end(empty);
  });
}
