// What the tests of this folder share: a scripted HTTP server, Debian's registry, and small images.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTcpServer } from 'node:net';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import type { Result } from '../failure.ts';
import { sha256 } from '../image/digest.ts';
import { mediaTypes } from '../image/oci.ts';

export interface Seen {
  method: string;
  /** Path and query. */
  url: string;
  headers: IncomingMessage['headers'];
  body: Buffer;
}

export interface ScriptedServer {
  /** `127.0.0.1:port`. */
  host: string;
  seen: Seen[];
  close(): Promise<void>;
}

/** A server whose every answer the test writes; `body` has been read before `answer` is called. */
export async function scriptedServer(
  answer: (request: Seen, response: ServerResponse, nth: number) => void,
): Promise<ScriptedServer> {
  const seen: Seen[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of request) chunks.push(chunk);
    } catch {
      return;
    }
    const { method = '', url = '', headers } = request;
    const entry: Seen = { method, url, headers, body: Buffer.concat(chunks) };
    seen.push(entry);
    answer(entry, response, seen.length);
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const address = server.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  return {
    host: `127.0.0.1:${port}`,
    seen,
    close: async () => {
      const closed = new Promise((done) => server.close(done));
      server.closeAllConnections();
      await closed;
    },
  };
}

export function value<T>(result: Result<T>): T {
  if (!result.ok) throw new Error(`unexpected failure: ${JSON.stringify(result.failure)}`);
  return result.value;
}

/** Bytes that compress badly and are the same in every run. */
export function noise(size: number, seed = 'noise'): Buffer {
  return createHash('shake256', { outputLength: size }).update(seed).digest();
}

export function opener(bytes: Buffer): (offset: number) => Readable {
  return (offset) => Readable.from(slices(bytes.subarray(offset)), { objectMode: false });
}

function* slices(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536);
}

export function blobOf(bytes: Buffer): { digest: string; size: number } {
  return { digest: sha256(bytes), size: bytes.length };
}

/** An image manifest of a config and layers that are pushed apart. */
export function imageManifest(config: Buffer, layers: Buffer[], more: object = {}): Buffer {
  return Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      config: { mediaType: mediaTypes.ociConfig, ...blobOf(config) },
      layers: layers.map((layer) => ({ mediaType: 'application/vnd.oci.image.layer.v1.tar', ...blobOf(layer) })),
      ...more,
    }),
  );
}

export function indexManifest(children: Buffer[]): Buffer {
  return Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.ociIndex,
      manifests: children.map((child) => ({ mediaType: mediaTypes.ociManifest, ...blobOf(child) })),
    }),
  );
}

/** A clock that never waits, goes on by what it was asked to wait, and notes that, in ms. */
export function instantClock(): { now(): number; sleep(ms: number): Promise<void>; random(): number; slept: number[] } {
  const slept: number[] = [];
  let now = Date.parse('2026-11-25T02:00:00Z');
  return {
    now: () => now,
    sleep: async (ms) => {
      slept.push(ms);
      now += ms;
    },
    random: () => 0,
    slept,
  };
}

/** Debian's docker-registry on a free port of loopback, its data below `folder`. */
export async function startDebians(
  folder: string,
  { deletes = true } = {},
): Promise<{ address: string; stop(): Promise<void> }> {
  const address = `127.0.0.1:${await freePort()}`;
  const file = join(folder, 'config.yml');
  const storage = { filesystem: { rootdirectory: join(folder, 'data') }, delete: { enabled: deletes } };
  // JSON is YAML.
  await writeFile(file, JSON.stringify({ version: '0.1', log: { level: 'error' }, storage, http: { addr: address } }));
  const child = spawn('docker-registry', ['serve', file], { stdio: 'ignore' });
  const ended = new Promise((done) => child.once('exit', done));
  for (let tries = 0; tries < 100; tries += 1) {
    const up = await fetch(`http://${address}/v2/`).then(
      (response) => response.ok,
      () => false,
    );
    if (up) break;
    await delay(50);
  }
  return {
    address,
    stop: async () => {
      child.kill();
      await ended;
    },
  };
}

export function hasProgram(name: string, ask = '--version'): boolean {
  return spawnSync(name, [ask]).status === 0;
}

export async function freePort(): Promise<number> {
  const server = createTcpServer();
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const address = server.address();
  await new Promise((done) => server.close(done));
  return typeof address === 'object' && address ? address.port : 0;
}
