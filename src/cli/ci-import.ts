// `splitbuild ci import`: a hand-written CI pipeline as a splitbuild.yaml.
import { writeFile } from 'node:fs/promises';
import { dirname, relative } from 'node:path';
import { execa } from 'execa';
import { draftFromCircleci } from '../config/import/circleci.ts';
import { notesOf } from '../config/import/draft.ts';
import { trialEnvironment, writeDraft } from '../config/import/write.ts';
import { readConfig } from '../config/read.ts';
import { readText } from '../config/read-text.ts';
import { printDiagnostics, printFailure } from './load.ts';

export interface CiImportOptions {
  /** File to write, which must not be there yet; `-` is standard output. */
  out: string;
  json?: true | undefined;
  /** `owner/repository` that the pipeline lies in. Default: that of git's `origin`. */
  project?: string | undefined;
}

export async function ciImport(provider: string, file: string, options: CiImportOptions): Promise<number> {
  if (provider !== 'circleci') {
    return printFailure({ kind: 'usage', message: `no import from '${provider}'`, help: 'write circleci' });
  }
  const text = await readText(file, {
    message: `there is no pipeline at ${file}`,
    help: 'it is usually .circleci/config.yml',
  });
  if (!text.ok) return printFailure(text.failure);
  const project = options.project ?? (await projectOf(dirname(file)));
  const draft = draftFromCircleci(text.value, { file: shortened(file), ...(project === undefined ? {} : { project }) });
  if (!draft.ok) return printFailure(draft.failure);
  const written = writeDraft(draft.value);

  // A trial of what was written, with a value for whatever only CI's environment has.
  const trial = readConfig(written, {
    file: options.out,
    env: trialEnvironment(written),
    set: {},
    git: { branch: 'main', commit: 'c0ffee' },
  });
  if (options.out === '-') process.stdout.write(written);
  else {
    try {
      await writeFile(options.out, written, { flag: 'wx' });
    } catch (error) {
      const exists = error instanceof Error && 'code' in error && error.code === 'EEXIST';
      return printFailure(
        exists
          ? {
              kind: 'usage',
              message: `${options.out} is there already`,
              help: 'name another file with --out, or --out - for standard output',
            }
          : { kind: 'system', message: `can't write ${options.out}`, help: 'look at the permissions of its folder' },
      );
    }
  }
  const notes = notesOf(draft.value);
  const { images, groups, workflows } = draft.value;
  if (options.json && options.out !== '-') {
    const summary = {
      file: options.out,
      images: images.map(({ name }) => name),
      groups: groups.map(({ name }) => name),
      workflows: workflows.map(({ name }) => name),
      notes: [...notes]
        .sort((a, b) => a.line - b.line)
        .map(({ line, text: note }) => ({ file: shortened(file), line, note })),
    };
    process.stdout.write(`${JSON.stringify(summary, undefined, 2)}\n`);
  }
  const counts = [count(images.length, 'image'), count(groups.length, 'group'), count(workflows.length, 'workflow')];
  const where = options.out === '-' ? 'read' : `wrote ${options.out}`;
  const rest = notes.length === 0 ? '' : `; ${count(notes.length, 'thing')} that it can't say, in comments`;
  process.stderr.write(`${where}: ${counts.join(', ')}${rest}.\n`);
  if (trial.ok) return 0;
  const diagnostics = trial.failure.kind === 'diagnostics' ? trial.failure.diagnostics : [];
  printDiagnostics(diagnostics);
  process.stderr.write('This must be put right by hand before the file can be used.\n');
  return 1;
}

function count(n: number, what: string): string {
  return `${n} ${what}${n === 1 ? '' : 's'}`;
}

/** From the folder that one is in, if it lies below. */
function shortened(file: string): string {
  const short = relative('.', file);
  return short.startsWith('..') ? file : short;
}

async function projectOf(folder: string): Promise<string | undefined> {
  const done = await execa('git', ['remote', 'get-url', 'origin'], { cwd: folder, reject: false, stdin: 'ignore' });
  return done.failed ? undefined : /[:/]([\w.-]+\/[\w.-]+?)(\.git)?\/?$/.exec(done.stdout.trim())?.[1];
}
