// Programs that splitbuild is measured against, and the registry that all are measured with: those of peers.json, as `go install` puts them
// into .cache/bin, and those of the system.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

const root = join(import.meta.dirname, '..');
const bin = join(root, '.cache/bin');
const versions = z
  .record(z.string(), z.string())
  .parse(JSON.parse(readFileSync(join(root, 'bench/peers.json'), 'utf8')));

/** The bundled command line; `npm run build` makes it. */
export const splitbuild = process.env.SPLITBUILD_PROGRAM ?? join(root, 'dist/cli.js');

export type Program = { path: string; version: string } | { path: undefined; version: string; absent: string };

/** A Go program of peers.json: installed by Go's own command where it isn't there yet. */
export function goProgram(name: string): Program {
  const module = versions[name];
  if (module === undefined) throw new Error(`peers.json has no ${name}`);
  const version = module.slice(module.lastIndexOf('@') + 1);
  const path = join(bin, name);
  if (!existsSync(path)) {
    const env = { ...process.env, GOBIN: bin, PATH: `${process.env.PATH}:/usr/local/go/bin` };
    const done = spawnSync('go', ['install', module], { env, encoding: 'utf8' });
    if (done.status !== 0) {
      return { path: undefined, version, absent: done.error ? 'there is no Go to build it with' : 'go install failed' };
    }
  }
  return { path, version };
}

/** A program of the system; `ask` makes it say its version. */
export function systemProgram(name: string, ask = '--version'): Program {
  const done = spawnSync(name, [ask], { encoding: 'utf8' });
  if (done.status !== 0) return { path: undefined, version: '', absent: 'it is not installed' };
  return { path: name, version: /\d+(\.\d+)+/.exec(done.stdout + done.stderr)?.[0] ?? '' };
}

/** Ms that a command takes; throws where it fails, with what it said. */
export function timed(program: string, args: string[], env: NodeJS.ProcessEnv = process.env): Promise<number> {
  return new Promise((resolve, reject) => {
    const started = performance.now();
    const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'], env });
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-4000);
    });
    child.on('error', reject);
    child.on('close', (code) =>
      code === 0
        ? resolve(performance.now() - started)
        : reject(new Error(`${program} ${args.join(' ')} ended with ${code}:\n${said}`)),
    );
  });
}

/** What a command prints. */
export async function output(program: string, args: string[]): Promise<string> {
  const done = spawnSync(program, args, { encoding: 'utf8', maxBuffer: 1 << 28 });
  if (done.status !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${done.status}:\n${done.stderr}`);
  return done.stdout;
}
