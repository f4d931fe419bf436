// Writes docs/config.md from the JSON Schema of the config, so that what is documented is what is read: config-reference.ts
import { writeFileSync } from 'node:fs';
import { z } from 'zod';
import { jsonSchema } from '../src/config/schema.ts';

const nodeSchema = z.looseObject({
  description: z.string().optional(),
  type: z.string().optional(),
  enum: z.array(z.string()).optional(),
  const: z.unknown().optional(),
  default: z.unknown().optional(),
  examples: z.array(z.unknown()).optional(),
  required: z.array(z.string()).optional(),
  properties: z.record(z.string(), z.unknown()).optional(),
  additionalProperties: z.unknown().optional(),
  items: z.unknown().optional(),
  anyOf: z.array(z.unknown()).optional(),
});
type Node = z.infer<typeof nodeSchema>;

/** What stands before the tables: what no single key can say. */
const introduction = `# The config

\`splitbuild.yaml\` says which images there are, for which platforms, and who builds them; what is built on what is read from the
Dockerfiles. \`splitbuild schema\` prints the JSON Schema for editors. Paths are relative to the file. A key that isn't known is an error that
names the nearest one that is.

Variables are written \`\${name}\`: those under \`vars\`, or given with \`--set name=value\`; \`\${env:NAME}\` from the environment; \`\${date}\`,
\`\${gitTag}\`, \`\${branch}\` and \`\${commit}\` of the folder that the file lies in. In \`args\`, \`\${tag}\`, \`\${arch}\`, \`\${archSuffix}\`,
\`\${archTag}\` and \`\${platform}\` get the values of what is built. \`$\${name}\` is the text \`\${name}\`.

An image, a group and a workflow may have \`vars\` too. \`--set\` wins over those of the image or group, these over those of the chosen
workflow, and these over the file's. Values may use other variables, which are looked up in the same order where the value is used: an image
that has its own \`branch\` sees it in the file's variables and in the \`defaults\` that it takes as well.

An edge comes from a \`FROM\`, \`COPY --from\` or \`RUN --mount from=\` that names the repository of another image of the file (with Docker Hub's
host, the registry's, or none) and one of its tags. \`needs\` adds edges that no Dockerfile shows.

\`groups\`, \`exports\`, \`assets\`, \`mirror\`, \`ci\` and the \`on\` of workflows are for the pipeline (\`splitbuild ci generate\`, see
[ci.md](ci.md)); \`splitbuild build\` leaves them alone and says so.
`;

/** The whole document. */
export function configReference(): string {
  const sections: string[] = [];
  section('Top level', nodeSchema.parse(jsonSchema()), sections);
  return `${introduction}\n${sections.join('\n')}`;
}

/** A table of a mapping's keys, and after it a section for each key that holds a mapping itself. */
function section(title: string, node: Node, sections: string[]): void {
  const rows = Object.entries(node.properties ?? {}).map(([name, raw]): string => {
    const key = nodeSchema.parse(raw);
    const must = node.required?.includes(name) && key.default === undefined ? ' (required)' : '';
    return `| \`${name}\`${must} | ${cell(describe(key))} | ${cell(example(name, key))} |`;
  });
  sections.push(`## ${title}\n\n| key | is | example |\n| --- | --- | --- |\n${rows.join('\n')}\n`);
  for (const [name, raw] of Object.entries(node.properties ?? {})) {
    const inner = mappingIn(nodeSchema.parse(raw));
    if (inner) section(title === 'Top level' ? `\`${name}\`` : `${title.replace(/`$/, '')}.${name}\``, inner, sections);
  }
}

/** The mapping with fixed keys that a key's value, its items or its entries are. */
function mappingIn(node: Node): Node | undefined {
  if (node.properties) return node;
  for (const raw of [node.items, node.additionalProperties, ...(node.anyOf ?? [])]) {
    const parsed = nodeSchema.safeParse(raw);
    const found = parsed.success ? mappingIn(parsed.data) : undefined;
    if (found) return found;
  }
  return undefined;
}

function describe(node: Node): string {
  const values = node.enum ? ` (${node.enum.map((one) => `\`${one}\``).join(', ')})` : '';
  const preset = node.default === undefined ? '' : `. Default: \`${String(node.default)}\``;
  return `${node.description ?? ''}${values}${preset}`;
}

function example(name: string, node: Node): string {
  const [first] = node.examples ?? [];
  return first === undefined ? '' : `\`${name}: ${flow(first)}\``;
}

/** YAML's flow style, as people write it in a line. */
function flow(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(flow).join(', ')}]`;
  if (typeof value === 'object' && value !== null) {
    return `{ ${Object.entries(value)
      .map(([key, inner]) => `${key}: ${flow(inner)}`)
      .join(', ')} }`;
  }
  const text = String(value);
  return typeof value === 'string' && /[{}[\],:#*$]\S|[:#] |\*|\$/.test(text) && !/^[\w.-]+:\/\/[\w./:@-]+$/.test(text)
    ? `"${text}"`
    : text;
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|');
}

if (import.meta.main) writeFileSync('docs/config.md', configReference());
