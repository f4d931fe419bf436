// `splitbuild schema`: the JSON Schema of the config.
import { jsonSchema } from '../config/schema.ts';

export async function schema(): Promise<number> {
  process.stdout.write(`${JSON.stringify(jsonSchema(), undefined, 2)}\n`);
  return 0;
}
