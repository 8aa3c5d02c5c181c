import { parseReport } from '../../src/http/report-body.ts';
import { type FuzzTarget, must } from './fuzz-target.ts';

const hardware = {
  ...{ cpu: 'Some CPU', cpus: 8, memory: 32_768, serial: 'S1', uuid: 'u', product: 'P' },
  ...{ firmware: 'uefi', disks: [{ name: 'sda', bytes: 1, model: 'M' }] },
  nics: [{ name: 'eth0', mac: '52:54:00:00:00:21', driver: 'e1000' }],
};
const seeds = [
  { stage: 'kernel', uptime: 1.5 },
  { stage: 'failed', uptime: 12, reason: 'no root' },
  { stage: 'warning', uptime: 12, reason: 'memory at 80 %' },
  { stage: 'hardware', uptime: 3, hardware },
  { stage: 'hardware', uptime: 3, hardware: { ...hardware, disks: Array(250).fill({}) } },
].map((report) => Buffer.from(JSON.stringify(report)));
const words = [
  ...[
    'null',
    '[]',
    '{}',
    '-1',
    '1e999',
    '0.5',
    '"__proto__":',
    '"stage":"alive"',
    '\\u0000',
    '\\u001b[2J',
  ],
  ...['"reason":', '[[[[', '1,', '{"name":1},', ',"disks":[]', '"'],
].map((text) => Buffer.from(text));

/** Bodies of reports, as far as they are JSON. */
export function reportTarget(): FuzzTarget {
  return {
    name: 'report',
    seeds,
    words,
    run(bytes) {
      let body: unknown;
      try {
        body = JSON.parse(Buffer.from(bytes).toString('utf8'));
      } catch {
        return 'no JSON';
      }
      const parsed = parseReport(body);
      if (!parsed.ok) {
        must(
          parsed.why !== '' && parsed.why.length < 2000,
          `${parsed.why.length} characters of why`,
        );
        must(!/\p{Cc}/u.test(parsed.why), 'control characters reach a terminal');
        return 'refused';
      }
      const kept = JSON.stringify(parsed.report);
      must(kept.length < 400_000, `${kept.length} characters are kept`);
      must(!/\\u00[01]|\\[bfnrt]/.test(kept), 'control characters reach a terminal');
      return parsed.report.stage;
    },
  };
}
