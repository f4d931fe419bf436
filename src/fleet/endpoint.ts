// Where a builder's engine listens, parsed from what a person writes.
import type { BuilderConfig } from '../config/config.ts';
import { fail, ok, type Result } from '../failure.ts';

export type Endpoint =
  /** The engine that the client is configured for. */
  | { kind: 'local' }
  | { kind: 'unix'; path: string }
  | { kind: 'ssh'; host: string; user?: string; port?: number /** Of the engine there. */; socket: string }
  | { kind: 'tcp'; address: string }
  | { kind: 'context'; name: string }
  /** Of BuildKit alone: what buildctl reaches by kubectl, docker, podman or nerdctl. */
  | { kind: 'within'; address: string };

/** Where an engine listens if nothing else is said. */
const usualSocket = { docker: '/var/run/docker.sock', buildkit: '/run/buildkit/buildkitd.sock' };

export function parseEndpoint(text: string, engine: BuilderConfig['engine'] = 'docker'): Result<Endpoint> {
  const isBuildkit = engine === 'buildkit';
  if (text === 'local') return ok({ kind: 'local' });
  const [, scheme = '', rest = ''] = /^([a-z-]+):\/\/(.+)$/.exec(text) ?? [];
  if (scheme === 'unix' && rest.startsWith('/')) return ok({ kind: 'unix', path: rest });
  if (!isBuildkit && scheme === 'context' && /^[A-Za-z0-9][\w.+-]*$/.test(rest))
    return ok({ kind: 'context', name: rest });
  if (scheme === 'tcp' && /^(\[[0-9a-fA-F:]+\]|[^/:@\s-][^/:@\s]*):\d+\/?$/.test(rest)) {
    return ok({ kind: 'tcp', address: rest.replace(/\/$/, '') });
  }
  // A name that begins with '-' would be an option of the program that leads there.
  if (isBuildkit && /^(kube-pod|(docker|podman|nerdctl)-container)$/.test(scheme) && /^[A-Za-z0-9]\S*$/.test(rest)) {
    return ok({ kind: 'within', address: text });
  }
  if (scheme === 'ssh') {
    // A host or user that begins with '-' would be an option of ssh's.
    const match = /^(?:([^@/\s-][^@/\s]*)@)?(\[[0-9a-fA-F:]+\]|[^/:@\s-][^/:@\s]*)(?::(\d+))?(\/.+)?$/.exec(rest);
    if (match) {
      const [, user, host = '', port, socket] = match;
      return ok({
        kind: 'ssh',
        host: host.replace(/^\[(.*)\]$/, '$1'),
        ...(user ? { user } : {}),
        ...(port ? { port: Number(port) } : {}),
        socket: socket && socket !== '/' ? socket : usualSocket[isBuildkit ? 'buildkit' : 'docker'],
      });
    }
  }
  return fail({
    kind: 'usage',
    message: `'${text}' is not an endpoint`,
    help: `write local, unix:///path, ssh://[user@]host[:port][/socket], tcp://host:port or ${isBuildkit ? 'kube-pod://name' : 'context://name'}`,
  });
}
