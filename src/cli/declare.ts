// What the declarations of commands have in common.

/** For an option that may be given several times. */
export function collect(value: string, before: string[]): string[] {
  return [...before, value];
}

/** A command's code, as that of the process. */
export async function exit(code: Promise<number>): Promise<void> {
  process.exitCode = await code;
}
