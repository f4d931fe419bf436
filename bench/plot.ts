// Bars as SVG, small enough to be read as text, that look right on a light and on a dark page.

export interface Bar {
  label: string;
  value: number;
  /** The value as it is shown. */
  text: string;
  ours: boolean;
}

const width = 760;
const left = 230;
const right = 110;
const step = 26;

export function drawBars(title: string, bars: readonly Bar[]): string {
  const most = Math.max(...bars.map(({ value }) => value), Number.MIN_VALUE);
  const height = bars.length * step + 12;
  const rows = bars.map(({ label, value, text, ours }, place) => {
    const y = 6 + place * step;
    const length = Math.max(1, (value / most) * (width - left - right)).toFixed(1);
    return [
      `<text x="${left - 8}" y="${y + 16}" text-anchor="end">${escapeText(label)}</text>`,
      `<rect x="${left}" y="${y + 3}" width="${length}" height="${step - 8}" rx="2" class="${ours ? 'ours' : 'peer'}"/>`,
      `<text x="${left + Number(length) + 6}" y="${y + 16}">${escapeText(text)}</text>`,
    ].join('');
  });
  const style =
    'text{font:13px system-ui,sans-serif;fill:#24292f}.ours{fill:#1f6feb}.peer{fill:#afb8c1}@media(prefers-color-scheme:dark){text{fill:#e6edf3}.peer{fill:#6e7681}}';
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" role="img" aria-label="${escapeText(title)}">
<style>${style}</style>
${rows.join('\n')}
</svg>
`;
}

function escapeText(text: string): string {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/"/g, '&quot;');
}
