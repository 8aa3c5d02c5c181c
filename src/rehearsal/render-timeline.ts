import type { Rehearsal } from './result.ts';

const colours: Readonly<Record<string, string>> = {
  off: '#3c3c46',
  absent: '#d9d9de',
  dhcp: '#c6d8ee',
  loader: '#a9c6e8',
  script: '#8bb2df',
  firmware: '#a9c6e8',
  kernel: '#6d9dd6',
  initramfs: '#5a9aa8',
  root: '#4f86c6',
  overlay: '#3c6ea8',
  systemd: '#2c5282',
  service: '#4f9d5d',
  ready: '#4f9d5d',
  answers: '#4f9d5d',
  failed: '#d1862b',
  silent: '#8a6d3b',
  'no answer': '#c43c39',
};

const left = 220;
const width = 1_000;
const row = 22;
const top = 46;

/** The timeline of a rehearsal as an SVG image: a lane for each node and each address, a line for each deed. */
export function renderTimeline(rehearsal: Rehearsal): string {
  const { start, end, lanes, marks } = rehearsal;
  const bottom = top + lanes.length * row;
  const x = (at: number) => (left + ((at - start) / Math.max(1, end - start)) * width).toFixed(1);
  const used = [...new Set(lanes.flatMap((lane) => lane.spans.map((span) => span.state)))];
  const order = Object.keys(colours).filter((state) => used.includes(state));
  const height = bottom + 62 + marks.length * 15;
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${left + width + 30}" height="${height}" font-family="sans-serif" font-size="12">`,
    `<rect width="100%" height="100%" fill="#ffffff"/>`,
    `<text x="10" y="20" font-size="15">${text(`${rehearsal.title}, ${new Date(start).toISOString()}`)}</text>`,
    ...ticks(end - start).flatMap((seconds) => {
      const at = x(start + seconds * 1_000);
      return [
        `<line x1="${at}" y1="${top - 6}" x2="${at}" y2="${bottom}" stroke="#e3e3e8"/>`,
        `<text x="${at}" y="${top - 10}" text-anchor="middle" fill="#666">${seconds} s</text>`,
      ];
    }),
    ...lanes.flatMap((lane, i) => {
      const y = top + i * row;
      return [
        `<text x="${left - 8}" y="${y + 15}" text-anchor="end">${text(lane.name)}</text>`,
        ...lane.spans.map((span) => {
          const seconds = ((span.to - span.from) / 1_000).toFixed(1);
          const wide = Math.max(1, Number(x(span.to)) - Number(x(span.from))).toFixed(1);
          return `<rect x="${x(span.from)}" y="${y + 3}" width="${wide}" height="${row - 6}" fill="${colours[span.state] ?? '#999'}"><title>${text(`${lane.name}: ${span.state} for ${seconds} s`)}</title></rect>`;
        }),
      ];
    }),
    ...marks.map(
      (mark, i) =>
        `<line x1="${x(mark.at)}" y1="${top - 4}" x2="${x(mark.at)}" y2="${bottom + 4}" stroke="#222" stroke-dasharray="3 2"><title>${text(mark.text)}</title></line>` +
        `<text x="${x(mark.at)}" y="${bottom + 15}" text-anchor="middle">${i + 1}</text>`,
    ),
    ...marks.map((mark, i) => {
      const seconds = ((mark.at - start) / 1_000).toFixed(1);
      return `<text x="${left}" y="${bottom + 54 + i * 15}">${text(`${i + 1}  ${seconds} s  ${mark.text}`)}</text>`;
    }),
    ...order.map((state, i) => {
      const at = left + i * 92;
      return `<rect x="${at}" y="${bottom + 22}" width="12" height="12" fill="${colours[state]}"/><text x="${at + 16}" y="${bottom + 32}">${text(state)}</text>`;
    }),
    '</svg>',
  ];
  return `${parts.join('\n')}\n`;
}

/** Seconds at which the axis has a line: ten or so of them. */
function ticks(length: number): readonly number[] {
  const step = [5, 10, 20, 30, 60, 120, 300, 600].find((s) => length / 1_000 / s <= 12) ?? 1_800;
  return Array.from({ length: Math.floor(length / 1_000 / step) + 1 }, (_, i) => i * step);
}

/** Text of an XML element or of an attribute in double quotes; what XML 1.0 has no place for is left out. */
export function text(value: string): string {
  return value
    .replaceAll(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd]/g, '')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
