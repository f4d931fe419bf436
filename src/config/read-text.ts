// Reads a file that the user named; that it can't be read is wrong usage, in the words of the command.
import { readFile } from 'node:fs/promises';
import { fail, ok, type Result } from '../failure.ts';

export async function readText(file: string, absent: { message: string; help: string }): Promise<Result<string>> {
  return readFile(file, 'utf8').then(ok, () => fail({ kind: 'usage', ...absent }));
}
