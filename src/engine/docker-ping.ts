// Whether a Docker Engine answers on its socket. `docker info` asks the same, and for that has the engine start runc and others to say
// their versions, on the cores that a build needs.
import { get } from 'node:http';
import { text } from 'node:stream/consumers';
import { fail, ok, type Result } from '../failure.ts';
import { noAnswer } from './outcome.ts';

/** `endpoint`: for messages. The engine's API: https://docs.docker.com/reference/api/engine/version/v1.47/#tag/System/operation/SystemPing */
export function pingSocket(socketPath: string, endpoint: string, signal: AbortSignal): Promise<Result<void>> {
  return new Promise((resolve) => {
    const help = 'check that the engine runs there and that you may reach it';
    const silent = (reason: string): void =>
      resolve(fail(signal.aborted ? { kind: 'cancelled' } : noAnswer('Docker Engine', reason, endpoint, { help })));
    get({ socketPath, path: '/_ping', headers: { host: 'docker' }, agent: false, signal }, (answer) => {
      text(answer).then(
        (said) => (answer.statusCode === 200 ? resolve(ok(undefined)) : silent(`${answer.statusCode} ${said}`.trim())),
        (error: unknown) => silent(String(error)),
      );
    }).on('error', (error) => silent(error.message));
  });
}
