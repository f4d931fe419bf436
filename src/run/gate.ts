// Gates: commands of the user's that decide, on the coordinator, whether a staged image may be published.
import { readFileSync, statSync } from 'node:fs';
import { resolve, sep } from 'node:path';
import type { GateConfig } from '../config/config.ts';
import { runProcess } from '../engine/process.ts';
import { fail, ok, type Result } from '../failure.ts';
import { sha256 } from '../image/digest.ts';

/** Runs a gate with what it needs to know in its environment; a code other than 0 is a failure of kind `check`. */
export type RunGate = (
  gate: GateConfig,
  facts: Record<string, string>,
  onLine: (line: string) => void,
  signal: AbortSignal,
) => Promise<Result<void>>;

export function gateRunner(folder: string, env: Readonly<Record<string, string | undefined>>): RunGate {
  return async (gate, facts, onLine, signal) => {
    const end = await runProcess('sh', ['-c', gate.run], { env: { ...env, ...facts }, signal, onLine, cwd: folder });
    if (end.kind === 'cancelled') return fail({ kind: 'cancelled' });
    if (end.kind === 'missing') {
      return fail({ kind: 'system', message: `gate '${gate.name}' can't be run: ${end.message}`, where: folder });
    }
    if (end.exitCode === 0) return ok(undefined);
    return fail({
      kind: 'check',
      exitCode: end.exitCode,
      log: end.lines.slice(-25),
      message: `gate '${gate.name}' ended with ${end.exitCode}`,
      where: gate.run,
    });
  };
}

/** Tells what the files are that a gate's command names by a word of its own, in the folder: a script, its rules. Of others it knows nothing. */
export function gateFileReader(folder: string): (run: string) => string {
  const known = new Map<string, string>();
  return (run) => {
    const before = known.get(run);
    if (before !== undefined) return before;
    const words = run.split(/[\s'"`;|&()<>=]+/).filter((word) => word !== '');
    const found = [...new Set(words)].flatMap((word) => {
      const file = resolve(folder, word);
      if (!file.startsWith(`${resolve(folder)}${sep}`) || !statSync(file, { throwIfNoEntry: false })?.isFile())
        return [];
      return [[word, sha256(readFileSync(file))]];
    });
    const text = found.length === 0 ? '' : sha256(JSON.stringify(found));
    known.set(run, text);
    return text;
  };
}
