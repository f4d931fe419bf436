// Pipelines of configs that have let a secret's value in, for every provider: none is written, and no refusal says the value.
import { expect, test } from 'vitest';
import { generate, providers } from './generate.ts';

const value = 'canary-8d/+x';
const env = { TOKEN: value, CREDENTIALS: `ci:${value}`, LOGIN: 'ci:canary-9e' };
const source = 'source: "https://h.example/x.git#main"';

function made(provider: (typeof providers)[number], image: string, more: { header?: string[]; ci?: string } = {}) {
  const text = `version: 1\nfamily: f\nplatforms: [linux/amd64]\nimages:\n  a: { repository: o/a, ${image} }\n${more.ci ?? ''}`;
  const signal = new AbortController().signal;
  const fixed = { file: 'splitbuild.yaml', root: process.cwd(), set: {}, steps: 'docker', now: new Date(0) } as const;
  return generate({ provider, text, env, header: more.header ?? [], signal, ...fixed });
}

const leaks: [string, string, Parameters<typeof made>[2]?][] = [
  ['an argument', `${source}, secrets: [TOKEN], args: { A: "x \${env:TOKEN}" }`],
  [
    'an argument, in base64',
    `${source}, secrets: [TOKEN], args: { A: "${Buffer.from(env.CREDENTIALS).toString('base64')}" }`,
  ],
  ['a variable', `${source}, secrets: [token], vars: { v: "\${env:TOKEN}" }, args: { A: "\${v}" }`],
  [
    'the first line, which repeats the command',
    `${source}, secrets: [TOKEN]`,
    { header: [`ci generate --set t=${value}`] },
  ],
  ['a URL', 'source: "https://${env:LOGIN}@h.example/x.git#main"'],
];

test.each(providers.flatMap((provider) => leaks.map(([where, image, more]) => ({ provider, where, image, more }))))(
  'no $provider pipeline with a value in $where',
  async ({ provider, image, more }) => {
    const result = await made(provider, image, more);
    expect(result).toMatchObject({ failure: { diagnostics: [{ code: 'secret-in-pipeline' }] } });
    expect(JSON.stringify(result)).not.toContain('canary');
  },
);

test.each(providers)(
  'a %s pipeline has its secrets by name, and jobs of its own may use them in URLs',
  async (provider) => {
    const job = "job: { steps: [{ run: 'git clone https://ci:$TOKEN@h.example/x' }] }";
    const ci = provider === 'circleci' ? `ci: { circleci: { jobs: { ${job} } } }\n` : '';
    const result = await made(provider, 'secrets: [TOKEN], source: "https://git@h.example/x.git#main"', { ci });
    expect(result).toMatchObject({ ok: true });
    expect(JSON.stringify(result)).toContain('TOKEN');
  },
);
