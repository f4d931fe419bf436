// Colour that is asked for, not guessed: choose.ts decides once, everything else is told.
import { styleText } from 'node:util';

export type Style = Parameters<typeof styleText>[0];

export function paint(style: Style, text: string, color: boolean): string {
  return color ? styleText(style, text, { validateStream: false }) : text;
}
