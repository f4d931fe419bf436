// The programs that come first on the PATH of a job's steps: the docker client that can build, CircleCI's agent, a gh that only writes
// down what it was asked for, and none that would change this machine, where the steps take it for a container of theirs.
import { mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';

export interface Tools {
  /** To be put first on the PATH. */
  bin: string;
  /** Whether a step asked for the end of its job by `circleci-agent step halt`. */
  halted(): Promise<boolean>;
  /** What gh was asked for since the last call. */
  takeRecords(): Promise<GhCall[]>;
}

const callSchema = z.object({
  args: z.array(z.string()),
  cwd: z.string(),
  files: z.array(z.object({ path: z.string(), size: z.number(), sha256: z.string() })),
});
export type GhCall = z.output<typeof callSchema>;

/** Run by Node: a file that is named may be larger than memory. */
const recorder = `
import { createHash } from 'node:crypto';
import { appendFileSync, createReadStream, statSync } from 'node:fs';
const [record, ...args] = process.argv.slice(2);
const isFile = (path) => statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
const files = [];
for (const arg of args) {
  // gh's own way to name an asset otherwise than its file: file#label
  const path = [arg, arg.replace(/#[^#]*$/, '')].find(isFile);
  if (path === undefined) continue;
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk);
  files.push({ path, size: statSync(path).size, sha256: hash.digest('hex') });
}
appendFileSync(record, JSON.stringify({ args, cwd: process.cwd(), files }) + '\\n');
console.error('gh is not run in a rehearsal; recorded: gh ' + args.join(' '));
`;

/** They succeed and do nothing: what a step installs has to be here already. */
export const installers = ['apk', 'apt', 'apt-get', 'dnf', 'yum'];

const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

export async function installTools(folder: string, docker: string | undefined, allowGh: boolean): Promise<Tools> {
  const bin = join(folder, 'bin');
  const [halt, record, script] = [join(folder, 'halt'), join(folder, 'gh.jsonl'), join(folder, 'gh.mjs')];
  await mkdir(bin, { recursive: true });
  const program = (name: string, text: string): Promise<void> =>
    writeFile(join(bin, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  if (docker !== undefined) await symlink(docker, join(bin, 'docker'));
  const agent = `case "$1 $2" in\n"step halt") : > ${quote(halt)} ;;\n*) echo "$0 $*: not there in a rehearsal" >&2; exit 127 ;;\nesac`;
  await Promise.all([program('circleci-agent', agent), program('circleci', agent)]);
  await Promise.all(installers.map((name) => program(name, `echo "${name} $*: not run in a rehearsal" >&2`)));
  // What root is at CircleCI, is the user here.
  await program('sudo', 'while [ "${1#-}" != "$1" ]; do shift; done\nexec "$@"');
  if (!allowGh) {
    await writeFile(script, recorder);
    await program('gh', `exec ${[process.execPath, script, record].map(quote).join(' ')} "$@"`);
  }
  return {
    bin,
    halted: () =>
      readFile(halt).then(
        () => true,
        () => false,
      ),
    async takeRecords() {
      const lines = await readFile(record, 'utf8').catch(() => '');
      await rm(record, { force: true });
      return lines
        .split('\n')
        .filter(Boolean)
        .map((line) => callSchema.parse(JSON.parse(line)));
    },
  };
}
