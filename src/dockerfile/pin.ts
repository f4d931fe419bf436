// Pins a Dockerfile: writes what was built in place of image names, and leaves every other byte as its author wrote it.

/** A place in a Dockerfile's text (UTF-16 offsets, end exclusive) and what to write there. */
export interface Pin {
  range: { start: number; end: number };
  value: string;
}

/** Replaces the ranges. The same range may come twice with the same value; overlapping ranges are a bug and throw. */
export function pinReferences(text: string, pins: readonly Pin[]): string {
  const sorted = [...pins].sort((a, b) => a.range.start - b.range.start || a.range.end - b.range.end);
  let result = '';
  let end = 0;
  let previous: Pin | undefined;
  for (const pin of sorted) {
    const { range, value } = pin;
    const again = previous?.range.start === range.start && previous.range.end === range.end;
    if (again && previous?.value === value) continue;
    if (range.start < end || range.end < range.start || range.end > text.length || again) {
      throw new Error(`pin ${range.start}–${range.end} ('${value}') overlaps another or lies outside the text`);
    }
    result += text.slice(end, range.start) + value;
    end = range.end;
    previous = pin;
  }
  return result + text.slice(end);
}
