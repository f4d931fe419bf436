// Certificates as docker and podman keep them, a folder a registry: certs.d/HOST[:PORT]/ with *.crt (authorities to trust besides the public
// ones) and pairs of NAME.cert and NAME.key (who this client is). Docker: "Verify repository client with certificates";
// containers-certs.d(5), whose order of folders this is.
import { X509Certificate } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { createSecureContext } from 'node:tls';
import { fail, ok, type Result } from '../failure.ts';

/** All in PEM. */
export interface Certificates {
  ca: string[];
  client?: { cert: string; key: string };
}

export interface CertificateStore {
  /** For a registry as references name it (`docker.io`, `localhost:5000`). */
  get(registry: string): Promise<Result<Certificates>>;
}

export const noCertificates: CertificateStore = { get: async () => ok({ ca: [] }) };

/**
 * The first that exists of ~/.config/containers/certs.d/REGISTRY, /etc/containers/certs.d/REGISTRY and /etc/docker/certs.d/REGISTRY; read
 * when a registry is first spoken to.
 */
export function storedCertificates(
  env: Readonly<Record<string, string | undefined>> = process.env,
  etc = '/etc',
): CertificateStore {
  const roots = [
    join(env.HOME ?? homedir(), '.config', 'containers', 'certs.d'),
    join(etc, 'containers', 'certs.d'),
    join(etc, 'docker', 'certs.d'),
  ];
  const known = new Map<string, Promise<Result<Certificates>>>();
  return {
    get: (registry) => {
      const read = known.get(registry) ?? readFirst(roots, registry);
      known.set(registry, read);
      return read;
    },
  };
}

async function readFirst(roots: string[], registry: string): Promise<Result<Certificates>> {
  if (!/^[\w.:[\]-]+$/.test(registry) || /^\.+$/.test(registry)) return ok({ ca: [] });
  for (const root of roots) {
    const folder = join(root, registry);
    let names: string[];
    try {
      names = await readdir(folder);
    } catch (error) {
      const code = codeOf(error);
      // As podman does, a folder of root's is passed over by others.
      if (['ENOENT', 'ENOTDIR', 'EACCES', 'EPERM'].includes(code ?? '')) continue;
      return unusable(folder, `can't be read: ${code}`);
    }
    return readFolder(folder, names.toSorted());
  }
  return ok({ ca: [] });
}

async function readFolder(folder: string, names: string[]): Promise<Result<Certificates>> {
  const ca: string[] = [];
  let client: Certificates['client'];
  for (const name of names) {
    const file = join(folder, name);
    if (name.endsWith('.crt')) {
      const pem = await readText(file);
      if (!pem.ok) return pem;
      if (!isCertificate(pem.value)) return unusable(file, 'is no certificate in PEM');
      ca.push(pem.value);
    } else if (name.endsWith('.cert')) {
      const keyName = `${name.slice(0, -'.cert'.length)}.key`;
      if (!names.includes(keyName)) {
        return unusable(file, `has no key: ${keyName} is missing`, "an authority's certificate is to be called .crt");
      }
      const cert = await readText(file);
      if (!cert.ok) return cert;
      const key = await readText(join(folder, keyName));
      if (!key.ok) return key;
      const pair = { cert: cert.value, key: key.value };
      if (!isPair(pair)) return unusable(file, `and ${keyName} are no pair of certificate and key in PEM`);
      // In the order of their names, the first is the one.
      client ??= pair;
    } else if (name.endsWith('.key') && !names.includes(`${name.slice(0, -'.key'.length)}.cert`)) {
      return unusable(file, `of this key is missing: ${name.slice(0, -'.key'.length)}.cert`);
    }
  }
  return ok({ ca, ...(client ? { client } : {}) });
}

async function readText(file: string): Promise<Result<string>> {
  try {
    return ok(await readFile(file, 'utf8'));
  } catch (error) {
    return unusable(file, `can't be read: ${codeOf(error)}`);
  }
}

function isCertificate(pem: string): boolean {
  try {
    new X509Certificate(pem);
    return true;
  } catch {
    return false;
  }
}

function isPair(pair: { cert: string; key: string }): boolean {
  try {
    createSecureContext(pair);
    return true;
  } catch {
    return false;
  }
}

function unusable(where: string, why: string, help?: string): Result<never> {
  return fail({
    kind: 'system',
    message: `the certificate ${why}`,
    where,
    help: help ?? 'mend the file, or take the folder of the registry away from certs.d',
  });
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined;
}
