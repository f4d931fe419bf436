// What the tests of TLS share: certificates made on the spot by openssl, and a scripted server that shows them.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type ServerOptions } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Pair {
  /** PEM. */
  cert: string;
  key: string;
}

export interface Authority {
  /** PEM of its own certificate. */
  ca: string;
  /** A certificate of the authority for `localhost` and 127.0.0.1, or for a client. */
  issue(name: string): Pair;
}

export function createAuthority(name: string): Authority {
  const folder = mkdtempSync(join(tmpdir(), 'authority-'));
  const at = (file: string): string => join(folder, file);
  const openssl = (...args: string[]): void => {
    const done = spawnSync('openssl', args, { encoding: 'utf8' });
    if (done.status !== 0) throw new Error(done.stderr);
  };
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  openssl(
    'req',
    '-x509',
    ...curve,
    '-days',
    '2',
    '-subj',
    `/CN=${name}`,
    '-keyout',
    at('ca.key'),
    '-out',
    at('ca.pem'),
  );
  writeFileSync(at('names'), 'subjectAltName=DNS:localhost,IP:127.0.0.1\n');
  return {
    ca: readFileSync(at('ca.pem'), 'utf8'),
    issue: (holder) => {
      openssl('req', ...curve, '-subj', `/CN=${holder}`, '-keyout', at('key'), '-out', at('request'));
      const issuer = ['-CA', at('ca.pem'), '-CAkey', at('ca.key'), '-CAcreateserial', '-days', '2'];
      openssl('x509', '-req', '-in', at('request'), ...issuer, '-extfile', at('names'), '-out', at('cert'));
      return { cert: readFileSync(at('cert'), 'utf8'), key: readFileSync(at('key'), 'utf8') };
    },
  };
}

export interface TlsServer {
  port: number;
  /** Authorization headers as they came, by path. */
  authorizations: { path: string; authorization: string | undefined }[];
  close(): Promise<void>;
}

export async function tlsServer(
  options: ServerOptions,
  answer: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<TlsServer> {
  const authorizations: TlsServer['authorizations'] = [];
  const server = createServer(options, (request, response) => {
    authorizations.push({ path: request.url ?? '', authorization: request.headers.authorization });
    request.resume();
    request.on('end', () => answer(request, response));
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const address = server.address();
  return {
    port: typeof address === 'object' && address ? address.port : 0,
    authorizations,
    close: async () => {
      const closed = new Promise((done) => server.close(done));
      server.closeAllConnections();
      await closed;
    },
  };
}
