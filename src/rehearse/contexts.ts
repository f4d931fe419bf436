// The file of --contexts: what CircleCI keeps under Organization Settings, as a map of context to environment variables.
import { z } from 'zod';
import { parseConfig } from '../config/parse.ts';
import { createProblems } from '../config/problems.ts';
import { readText } from '../config/read-text.ts';
import { fail, ok, type Result } from '../failure.ts';
import { checkShape } from './shape.ts';
import { texts } from './steps.ts';

export type Contexts = ReadonlyMap<string, Record<string, string>>;

const schema = z.record(
  z.string(),
  z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])).nullable(),
);

export async function readContexts(file: string | undefined): Promise<Result<Contexts>> {
  if (file === undefined) return ok(new Map());
  const text = await readText(file, {
    message: `there is no file of contexts at ${file}`,
    help: 'write one: docker-hub: { DOCKER_USER: ci }',
  });
  if (!text.ok) return text;
  const parsed = parseConfig(text.value, file);
  if (!parsed.ok) return parsed;
  const problems = createProblems(parsed.value);
  const contexts = checkShape(schema, parsed.value.value, [], problems);
  if (!contexts) return fail({ kind: 'diagnostics', diagnostics: problems.all() });
  return ok(new Map(Object.entries(contexts).map(([name, values]) => [name, texts(values ?? {})])));
}
