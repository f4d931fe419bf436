// `<< parameters.x >>` and `<< pipeline.y >>` in texts. A `<<` that is meant for the shell is written `\<<` in CircleCI 2.1.
import { suggest } from '../config/nearest.ts';
import type { Path } from '../config/parse.ts';
import type { Problems } from '../config/problems.ts';
import type { Trigger } from './pipeline.ts';

export type Value = string | number | boolean;
/** Values by their whole names: `parameters.tag`, `pipeline.git.branch`. */
export type Scope = Readonly<Record<string, Value>>;

/** https://circleci.com/docs/variables/#pipeline-values */
export function pipelineScope(trigger: Trigger): Scope {
  const { ref, revision, number, id, gitUrl } = trigger;
  return {
    'pipeline.id': id,
    'pipeline.number': number,
    'pipeline.project.git_url': gitUrl,
    'pipeline.project.type': /github\.com/.test(gitUrl) ? 'github' : 'circleci',
    'pipeline.git.tag': ref.kind === 'tag' ? ref.name : '',
    'pipeline.git.branch': ref.kind === 'branch' ? ref.name : '',
    'pipeline.git.revision': revision,
    'pipeline.trigger_source': 'webhook',
  };
}

const tag = /\\<<|<<(?:\s*([^<>\n]*?)\s*>>)?/g;

/** All texts of a value with their parameters put in; a text that is one parameter alone takes its type. */
export function substitute(value: unknown, path: Path, scope: Scope, problems: Problems): unknown {
  if (typeof value === 'string') return inText(value, path, scope, problems);
  if (Array.isArray(value)) return value.map((item, index) => substitute(item, [...path, index], scope, problems));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, substitute(item, [...path, key], scope, problems)]),
  );
}

function inText(text: string, path: Path, scope: Scope, problems: Problems): Value {
  const alone = /^<<\s*([\w.-]+)\s*>>$/.exec(text.trim())?.[1];
  if (alone !== undefined) return lookUp(alone, text.trim(), path, scope, problems) ?? '';
  return text.replace(tag, (words: string, name: string | undefined) => {
    if (words === '\\<<') return '<<';
    if (name === undefined) {
      problems.error(
        'open-parameter',
        path,
        "CircleCI takes '<<' for the beginning of a parameter, which has no '>>'",
        {
          at: { words },
          help: 'write \\<< where the shell is to see <<',
        },
      );
      return '';
    }
    return String(lookUp(name, words, path, scope, problems) ?? '');
  });
}

function lookUp(name: string, words: string, path: Path, scope: Scope, problems: Problems): Value | undefined {
  if (Object.hasOwn(scope, name)) return scope[name];
  if (/^[\w.-]+$/.test(name)) {
    const kind = name.split('.')[0];
    const near = Object.keys(scope).filter((one) => kind !== 'parameters' || one.startsWith('parameters.'));
    const message = `nothing is named '${name}' here`;
    problems.error('unknown-parameter', path, message, {
      at: { words },
      help: suggest(name, near, 'no parameters are declared here'),
    });
  } else {
    problems.error('expression', path, `'${name}' is an expression, which a rehearsal does not work out`, {
      at: { words },
      help: 'in << >> only names of parameters and pipeline values are read',
    });
  }
  return undefined;
}
