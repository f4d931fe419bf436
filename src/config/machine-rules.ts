// Rules of machines: builders and their endpoints, registries and their addresses.
import type { Path } from './parse.ts';
import { checkPlatforms } from './platform-rules.ts';
import type { Problems } from './problems.ts';
import { asList, asMap, entriesOf, type Item, textAt } from './tree.ts';

export function checkBuilders(builders: unknown, problems: Problems): void {
  const names = new Map<string, number>();
  for (const [index, builder] of (asList(builders) ?? []).entries()) {
    const path: Path = ['builders', index];
    const name = textAt(builder, 'name', path);
    const before = name && names.get(name.text);
    if (name && before !== undefined) {
      const message = `builders ${before + 1} and ${index + 1} are both named '${name.text}'`;
      problems.error('duplicate-builder', name.path, message, { help: 'give each a name of its own' });
    } else if (name) names.set(name.text, index);
    const endpoint = textAt(builder, 'endpoint', path);
    if (endpoint) checkEndpoint(endpoint, asMap(builder)?.engine === 'buildkit', problems);
    checkPlatforms(asMap(builder)?.platforms, [...path, 'platforms'], problems);
  }
}

const endpointForms = 'local, unix:///path, ssh://[user@]host[:port][/socket], tcp://host:port or';
const hostName = '(?:[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?|\\[[0-9A-Fa-f:.]+\\])';

function checkEndpoint({ text, path }: Item, isBuildkit: boolean, problems: Problems): void {
  const help = endpointHelp(problems.formOf({ text, path }), isBuildkit);
  if (help === undefined) return;
  problems.error('endpoint', path, `'${text}' is not an endpoint`, {
    help: `${help} (an endpoint is ${endpointForms} ${isBuildkit ? 'kube-pod://name' : 'context://name'})`,
  });
}

/** What to write instead; undefined if it is an endpoint. */
function endpointHelp(text: string, isBuildkit: boolean): string | undefined {
  const [, scheme = '', rest = ''] = /^([A-Za-z][A-Za-z0-9+.-]*):(.*)$/s.exec(text) ?? [];
  const bare = rest.replace(/^\/*/, '');
  if (text === 'local') return undefined;
  if (text.startsWith('/')) return `write 'unix://${text}'`;
  switch (scheme) {
    case 'unix':
      if (/^\/\/\/./.test(rest)) return undefined;
      return `a unix socket has an absolute path: write 'unix:///${bare || 'var/run/docker.sock'}'`;
    case 'ssh': {
      if (new RegExp(`^//([^@/:\\s]+@)?${hostName}(:\\d{1,5})?(/.*)?$`).test(rest)) return undefined;
      const account = /^[\w.-]+@[\w.-]+$/.test(bare) ? bare : 'ci@arm-1';
      return `name a user and a host, no password: write 'ssh://${account}'`;
    }
    case 'tcp': {
      if (new RegExp(`^//${hostName}:\\d{1,5}$`).test(rest)) return undefined;
      return `a tcp endpoint has a host and a port: write 'tcp://${bare.split(/[:/]/)[0] || 'arm-1'}:2376'`;
    }
    case 'kube-pod':
    case 'docker-container':
    case 'podman-container':
    case 'nerdctl-container':
      if (!isBuildkit) return "such an endpoint is one of BuildKit's: add 'engine: buildkit'";
      return /^\/\/[A-Za-z0-9]\S*$/.test(rest) ? undefined : `name it: write '${scheme}://name'`;
    case 'context':
      if (isBuildkit) return 'a docker context leads to a Docker Engine, and this builder is a BuildKit';
      return /^\/\/[A-Za-z0-9][\w.+-]*$/.test(rest) ? undefined : "name a docker context: write 'context://name'";
    case 'http':
    case 'https':
      return `write 'tcp://${bare.replace(/\/$/, '')}'${scheme === 'https' ? " and 'tls'" : ''}`;
    default:
      if (/^[\w.-]+@[\w.-]+$/.test(text)) return `write 'ssh://${text}'`;
      if (/^[\w.-]+:\d+$/.test(text)) return `write 'tcp://${text}'`;
      return "write 'local' for the engine of this machine, or 'ssh://user@host' for another";
  }
}

export function checkRegistries(tree: Record<string, unknown>, problems: Problems): void {
  const registry = textAt(tree, 'registry', []);
  if (registry) checkRegistry(registry, problems);
  const listen = textAt(tree.registry, 'listen', ['registry']);
  if (listen && !isHost(problems.formOf(listen))) {
    const help = "write host:port, as '127.0.0.1:5000'";
    problems.error('registry', listen.path, `'${listen.text}' is not an address to listen at`, { help });
  }
  for (const [host] of entriesOf(tree.registries)) {
    if (isHost(host)) continue;
    const bare = host.replace(/^[a-z]+:\/\//i, '').split('/')[0] ?? '';
    const help = isHost(bare) ? `write '${bare}'` : "write host[:port], as 'registry.example.com:5000'";
    problems.error('registry', ['registries', host], `'${host}' is not the host of a registry`, { at: 'key', help });
  }
}

function checkRegistry({ text, path }: Item, problems: Problems): void {
  const wrong = registryProblem(problems.formOf({ text, path }));
  if (wrong) problems.error('registry', path, wrong.message, { help: wrong.help });
}

function registryProblem(text: string): { message: string; help: string } | undefined {
  const bare = text.replace(/^[a-z]+:\/\//i, '').replace(/\/+$/, '');
  const [host = '', ...prefix] = bare.split('/');
  if (bare !== text) {
    return {
      message: `'${text}' is not host[:port][/prefix]`,
      help: `write '${bare || 'docker.io'}': no scheme, no / at the end`,
    };
  }
  // As distribution/reference tells hosts from names: by a dot, a port, or the name localhost.
  if (!/[.:]/.test(host) && host !== 'localhost') {
    const help = `for Docker Hub write 'docker.io${text ? `/${text}` : ''}'; for another registry put its host in front`;
    return { message: `'${text}' has no host`, help };
  }
  if (!isHost(host)) {
    return {
      message: `'${host}' is not the host of a registry`,
      help: "write host[:port][/prefix], as 'ghcr.io/acme'",
    };
  }
  const bad = prefix.find((part) => !/^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*$/.test(part));
  if (bad === undefined) return undefined;
  const lower = bad !== bad.toLowerCase();
  const help = lower
    ? `write '${text.toLowerCase()}'`
    : "write a prefix of lower-case names, as 'ghcr.io/acme'; tags go under 'tags'";
  return { message: `'${bad}' can't be part of a repository`, help };
}

function isHost(text: string): boolean {
  const match = new RegExp(`^${hostName}(?::(\\d{1,5}))?$`).exec(text);
  return match !== null && Number(match[1] ?? 0) <= 65_535;
}
