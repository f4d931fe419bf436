// Declared parameters and the arguments that they are given. https://circleci.com/docs/reusing-config/#parameter-types
import { suggest } from '../config/nearest.ts';
import type { Path } from '../config/parse.ts';
import type { Problems } from '../config/problems.ts';
import type { WrittenParameters } from './schema.ts';
import type { Scope, Value } from './template.ts';

/** Who takes the arguments, who gives them. */
export interface Binding {
  /** `command 'push'`. */
  what: string;
  declared: WrittenParameters | undefined;
  declaredAt: Path;
  given: Record<string, unknown>;
  givenAt: Path;
}

const types = ['string', 'boolean', 'integer', 'enum', 'executor', 'env_var_name'];

/** Values by their names in `<< >>`. Missing, unknown and wrongly typed arguments are problems at the place of the call. */
export function bindParameters(
  { what, declared = {}, declaredAt, given, givenAt }: Binding,
  problems: Problems,
): Scope {
  const scope: Record<string, Value> = {};
  for (const name of Object.keys(given)) {
    if (Object.hasOwn(declared, name)) continue;
    problems.error('unknown-argument', [...givenAt, name], `${what} has no parameter '${name}'`, {
      at: 'key',
      help: suggest(name, Object.keys(declared), 'it has none'),
    });
  }
  for (const [name, parameter] of Object.entries(declared)) {
    const at = [...declaredAt, name];
    if (!types.includes(parameter.type)) {
      const help = suggest(parameter.type, types);
      const message = `parameters of type '${parameter.type}' can't be rehearsed`;
      problems.error('parameter-type', [...at, 'type'], message, { help });
      scope[`parameters.${name}`] = '';
      continue;
    }
    const isGiven = Object.hasOwn(given, name);
    const value = isGiven ? given[name] : parameter.default;
    const place = isGiven ? [...givenAt, name] : [...at, 'default'];
    if (value === undefined || value === null) {
      if (isGiven || !Object.hasOwn(parameter, 'default')) {
        problems.error('missing-argument', givenAt, `${what} needs '${name}', which has no default`, {
          at: 'key',
          help: `add ${name}: …`,
        });
      }
    } else if (isOfType(value, parameter.type, parameter.enum)) {
      scope[`parameters.${name}`] = value;
      continue;
    } else {
      const wanted = parameter.type === 'enum' ? (parameter.enum ?? []).join(', ') : `of type ${parameter.type}`;
      const help = parameter.type === 'string' ? `put it in quotes: "${String(value)}"` : undefined;
      problems.error('argument-type', place, `'${name}' of ${what} must be ${wanted}`, {
        at: 'pair',
        ...(help ? { help } : {}),
      });
    }
    // Known to be wrong already: what uses it is not told as well.
    scope[`parameters.${name}`] = '';
  }
  return scope;
}

function isOfType(value: unknown, type: string, choices: Value[] | undefined): value is Value {
  switch (type) {
    case 'boolean':
      return typeof value === 'boolean';
    case 'integer':
      return Number.isInteger(value);
    case 'enum':
      return choices?.some((choice) => choice === value) ?? false;
    default:
      return typeof value === 'string';
  }
}
