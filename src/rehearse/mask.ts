// Keeps the values of contexts out of what a rehearsal says, as CircleCI does: https://circleci.com/docs/env-vars/#secrets-masking.

/** CircleCI masks none that are shorter. */
const shortest = 4;

/** Writes `***` for each value, and for each line of one that has several. */
export function maskValues(values: string[]): (text: string) => string {
  const secrets = [...new Set(values.flatMap((value) => [value, ...value.split(/\r?\n/)].map((part) => part.trim())))]
    .filter((value) => value.length >= shortest && value !== 'true' && value !== 'false')
    .sort((a, b) => b.length - a.length);
  return (text) => secrets.reduce((masked, secret) => masked.replaceAll(secret, '***'), text);
}
