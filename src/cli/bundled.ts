// What start.ts loads for main.ts in the bundle. Commands that are run again and again are scripts with all that they import, and V8's code of
// them is kept for their next start: of all functions that were called. Node's own compile cache, which serves the others, has what is compiled
// before anything is called, so that every run compiled more than a thousand functions anew.
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import module from 'node:module';
import { join } from 'node:path';
import v8 from 'node:v8';
import vm from 'node:vm';

const scripts = new Map([
  ['build', 'run.js'],
  ['publish', 'run.js'],
  ['plan', 'run.js'],
  ['join', 'join.js'],
]);

module.enableCompileCache();
const command = process.argv[2] ?? '';
const name = scripts.get(command);
// The bundler knows what this is.
const modules = './main.mjs';
export const loaded = name === undefined ? import(modules) : runScript(join(__dirname, name));

function runScript(filename: string): void {
  // All ASCII: esbuild writes it so. The first line is a hash of the others.
  const source = readFileSync(filename, 'latin1');
  const directory = module.getCompileCacheDir();
  const kept = directory === undefined ? undefined : join(directory, `splitbuild-${source.slice(3, 35)}-${command}`);
  const cachedData = kept === undefined ? undefined : readOptional(kept);
  const script = new vm.Script(source, {
    filename,
    ...(cachedData ? { cachedData } : {}),
    importModuleDynamically: vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  });
  if (kept !== undefined && (!cachedData || script.cachedDataRejected)) keepAtExit(script, kept);
  script.runInThisContext();
}

function readOptional(file: string): Buffer | undefined {
  try {
    return readFileSync(file);
  } catch {
    return undefined;
  }
}

function keepAtExit(script: vm.Script, file: string): void {
  // V8 would drop what was not called for some time, as all that a long build began with.
  v8.setFlagsFromString('--no-flush-bytecode');
  process.once('exit', (code) => {
    // What failed, or only said how it is called, has called little.
    if (code !== 0 || process.argv.includes('--help')) return;
    // It takes only what was made under the flags that it is taken under (build.ts sets the other one).
    v8.setFlagsFromString('--flush-bytecode');
    v8.setFlagsFromString('--semi-space-growth-factor=2');
    try {
      writeFileSync(`${file}.${process.pid}`, script.createCachedData());
      renameSync(`${file}.${process.pid}`, file);
    } catch {
      // The next start is as this one.
    }
  });
}
